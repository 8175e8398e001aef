"""Keys: ECDSA over NIST curves, in PEM. What a key file holds is decided here; the files are read by who has them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shipway.errors import UserError

_OF_COSIGN = (b"ENCRYPTED SIGSTORE PRIVATE KEY", b"ENCRYPTED COSIGN PRIVATE KEY")
_ALLOWED = "an ECDSA key over P-256, P-384 or P-521 in PEM"
# The pairs that sigstore registers (protobuf-specs, PublicKeyDetails) and cosign allows. Not Ed25519: cosign takes such
# a key for Ed25519ph or Ed25519, depending on how it was told of it.
_HASHES = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half that may be given away: it tells whose signature it is."""

    _key: ec.EllipticCurvePublicKey

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """Read a SubjectPublicKeyInfo in PEM. Raises UserError when it is none, or of another algorithm."""
        if b"PRIVATE KEY-----" in data:
            raise UserError(
                "a private key was given where the public one belongs",
                next_step="Give the file that ends in .pub; the private key is for signing only.",
            )
        try:
            key = serialization.load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UserError(f"the public key cannot be read: allowed is {_ALLOWED}") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
            raise UserError(f"the public key is of another algorithm: allowed is {_ALLOWED}")
        return cls(key)

    def to_pem(self) -> bytes:
        """As SubjectPublicKeyInfo in PEM."""
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def hint(self) -> str:
        """What names the key in a bundle: base64 of the SHA-256 of its DER, as cosign writes it."""
        der = self._key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(hashlib.sha256(der).digest()).decode()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the private half made that signature (ASN.1 DER) of that message."""
        try:
            self._key.verify(signature, message, ec.ECDSA(_HASHES[self._key.curve.name]))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The half that signs. It is never shown: not by ``repr``, not in an error."""

    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new key over P-256."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, data: bytes, password: bytes | None = None) -> Self:
        """Read a PKCS#8 key in PEM (or SEC 1, as ``openssl ecparam -genkey`` writes it).

        Raises UserError: no key, another algorithm, a wrong password or none where one is needed.
        """
        if any(label in data for label in _OF_COSIGN):
            raise UserError(
                "the private key is in cosign's own encrypted form, which is not read here",
                next_step="Make one here (shipway models keygen); cosign takes it: cosign import-key-pair --key FILE",
            )
        if is_encrypted(data) and not password:
            raise UserError("the private key is encrypted, and no password was given")
        try:
            key = serialization.load_pem_private_key(data, password if is_encrypted(data) else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            why = "the password is wrong, or it is damaged" if is_encrypted(data) else f"allowed is {_ALLOWED}"
            raise UserError(f"the private key cannot be read: {why}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
            raise UserError(f"the private key is of another algorithm: allowed is {_ALLOWED}")
        return cls(key)

    def to_pem(self, password: bytes | None) -> bytes:
        """As PKCS#8 in PEM, encrypted when there is a password."""
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            how = serialization.BestAvailableEncryption(password)
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """A signature of the message, in ASN.1 DER."""
        return self._key.sign(message, ec.ECDSA(_HASHES[self._key.curve.name]))


def is_encrypted(data: bytes) -> bool:
    """Whether a private key in PEM needs a password (PKCS#8, or the older header of RFC 1421)."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in data or b"Proc-Type: 4,ENCRYPTED" in data
