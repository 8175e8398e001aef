"""Bundle: a signature with what it signs, as one JSON document.

Sources: sigstore/protobuf-specs, sigstore_bundle.proto (v0.3) and, of cosign, specs/BUNDLE_SPEC.md and
cmd/cosign/cli/sign/sign.go (signDigestBundle); secure-systems-lab/dsse, protocol.md v1; in-toto/attestation, Statement
v1. The field names are those of protobuf's JSON mapping.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from shipway.errors import UserError
from shipway.signing.keys import PrivateKey, PublicKey

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"  # "this digest is signed", and nothing more
CONTENT = "dsse-envelope"  # as the annotation dev.sigstore.bundle.content says it
LARGEST = 256 * 1024  # bytes of a bundle; ours have some 800

_TYPES = (BUNDLE_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_SIGNED_AT = "dev.shipway.signed"  # annotation of the statement's subject: when the signer's clock said it was


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it was read. Nothing in it is to be believed before :meth:`signed_by` has said yes."""

    payload_type: str
    payload: bytes
    signature: bytes
    hint: str  # of the key, or what else it names; empty when it names none
    keyless: bool = False  # it has a certificate instead of a key

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the JSON. Raises UserError: not a bundle of this version, too large, or not of one DSSE signature."""
        if len(data) > LARGEST:
            raise UserError(f"a bundle of {len(data)} bytes: allowed are {LARGEST}")
        try:
            document = json.loads(data)
            kind, material = document["mediaType"], document["verificationMaterial"]
            if kind not in _TYPES:
                raise UserError(f"a bundle of the type {kind!r}: allowed is {BUNDLE_TYPE}")
            envelope = document["dsseEnvelope"]
            (signature,) = envelope["signatures"]  # a bundle has exactly one, other than DSSE alone
            return cls(
                payload_type=_text(envelope["payloadType"]),
                payload=_bytes(envelope["payload"]),
                signature=_bytes(signature["sig"]),
                hint=_text(material.get("publicKey", {}).get("hint", "")),
                keyless="certificate" in material or "x509CertificateChain" in material,
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise UserError("it is no sigstore bundle with a signed statement in it") from error

    def signed_by(self, key: PublicKey) -> bool:
        """Whether the payload and its type are what the key signed."""
        return key.verifies(self.signature, pae(self.payload_type, self.payload))

    def statement(self) -> Mapping[str, Any]:
        """The in-toto statement. Raises UserError when the payload is none."""
        try:
            document = json.loads(self.payload)
            if self.payload_type == _PAYLOAD_TYPE and document["_type"] == _STATEMENT:
                statement: Mapping[str, Any] = document
                return statement
        except (KeyError, TypeError, ValueError, RecursionError):
            pass
        raise UserError("what it signs is no in-toto statement (v1)")

    @property
    def predicate_type(self) -> str:
        """What the statement says of its subjects. Raises UserError."""
        try:
            return _text(self.statement()["predicateType"])
        except (KeyError, ValueError) as error:
            raise UserError("its statement has no predicate type") from error

    @property
    def digests(self) -> tuple[str, ...]:
        """``sha256:<hex>`` of each subject of the statement. Raises UserError."""
        try:
            return tuple(f"sha256:{_text(subject['digest']['sha256'])}" for subject in self.statement()["subject"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("its statement names no subject by sha256") from error

    @property
    def signed_at(self) -> str:
        """When the signer says that it was signed (RFC 3339), empty when it does not; nobody else attests it."""
        try:
            return _text(self.statement()["subject"][0]["annotations"][_SIGNED_AT])
        except (KeyError, TypeError, IndexError, ValueError):
            return ""


def sign(digest: str, key: PrivateKey, now: datetime) -> bytes:
    """A bundle that says: the holder of this key signs the artifact of that digest (``sha256:<hex>``)."""
    algorithm, _, value = digest.partition(":")
    payload = _json(
        {
            "_type": _STATEMENT,
            "subject": [
                {
                    "digest": {algorithm: value},
                    "annotations": {_SIGNED_AT: now.isoformat(timespec="seconds").replace("+00:00", "Z")},
                }
            ],
            "predicateType": PREDICATE,
            "predicate": {},
        }
    )
    return _json(
        {
            "mediaType": BUNDLE_TYPE,
            # No log was asked; protobuf may leave an empty list out, but sigstore-models 0.0.6 insists on it.
            "verificationMaterial": {"publicKey": {"hint": key.public.hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _base64(payload),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": _base64(key.sign(pae(_PAYLOAD_TYPE, payload)))}],
            },
        }
    )


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a DSSE signature is of: "pre-authentication encoding" (protocol.md, "Signature Definition")."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: Any) -> bytes:
    # Both alphabets, as protobuf's JSON mapping asks of readers.
    try:
        return base64.b64decode(_text(text).translate(str.maketrans("-_", "+/")), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():  # it will stand on somebody's terminal
        raise ValueError("this is no text")
    return value
