from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import Refused, UserError
from shipway.signing import BUNDLE_TYPE, LARGEST, Bundle, PrivateKey, PublicKey, Standing, Verdict, judge, sign
from shipway.signing.bundle import pae

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
DIGEST = "sha256:" + "0123456789abcdef" * 4
ELSE = "sha256:" + "f" * 64
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATA = sign(DIGEST, KEY, NOW)
HERE = Path(__file__).parent / "data"


def changed(change: Callable[[dict[str, Any]], object], data: bytes = DATA) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def of_statement(change: Callable[[dict[str, Any]], object], *, key: PrivateKey = KEY) -> bytes:
    """A bundle that ``key`` signs rightly around another statement."""
    document = json.loads(DATA)
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement = change(statement) or statement
    payload = json.dumps(statement).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    signature = key.sign(pae(envelope["payloadType"], payload))
    envelope["signatures"] = [{"sig": base64.b64encode(signature).decode()}]
    return json.dumps(document).encode()


def verdict(*bundles: bytes, key: PublicKey = KEY.public, digest: str = DIGEST) -> Verdict:
    return judge(digest, bundles, key)


def standing(data: bytes, key: PublicKey = KEY.public, digest: str = DIGEST) -> Standing:
    (found,) = judge(digest, [data], key).findings
    return found.standing


def test_the_bundle_is_what_cosign_writes() -> None:
    document = json.loads(DATA)
    assert document["mediaType"] == BUNDLE_TYPE == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert document["verificationMaterial"] == {"publicKey": {"hint": KEY.public.hint}, "tlogEntries": []}
    assert document["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(base64.b64decode(document["dsseEnvelope"]["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"digest": {"sha256": DIGEST[7:]}, "annotations": {"dev.shipway.signed": "2026-01-02T03:04:05Z"}},
        ],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }


def test_pae_is_that_of_the_protocol() -> None:
    """The example of dsse's protocol.md."""
    made = pae("http://example.com/HelloWorld", b"hello world")
    assert made == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_signature_is_good() -> None:
    found = verdict(DATA)
    assert found.trusted
    assert found.lines == (f"signed with the key {KEY.public.hint} at 2026-01-02T03:04:05Z (by the signer's clock)",)
    assert found.to_json()["signatures"] == [
        {"standing": "good", "said": found.lines[0], "key": KEY.public.hint, "signedAt": "2026-01-02T03:04:05Z"}
    ]
    found.require("digits:1")


def test_no_signature_is_none() -> None:
    found = verdict()
    assert not found.trusted
    assert found.lines == (f"not signed: {DIGEST} has no signature",)
    with pytest.raises(Refused, match=r"digits:1 is not signed with the key .*: not signed") as told:
        found.require("digits:1")
    assert told.value.next_step


def test_another_key_is_told_from_tampering() -> None:
    assert standing(DATA, OTHER.public) is Standing.OTHER_KEY
    assert verdict(DATA, key=OTHER.public).lines == (
        f"signed with the key {KEY.public.hint}, not with the key {OTHER.public.hint}",
    )
    assert standing(changed(lambda one: one["verificationMaterial"].update(publicKey={})), OTHER.public) is (
        Standing.OTHER_KEY
    )


def test_another_digest() -> None:
    found = verdict(DATA, digest=ELSE)
    assert found.findings[0].standing is Standing.OTHER_DIGEST
    assert found.lines == (f"the key {KEY.public.hint} signed another artifact: {DIGEST}",)


def test_another_statement_by_the_same_key_is_no_signature() -> None:
    data = of_statement(lambda one: one.update(predicateType="https://example.com/revoked/v1"))
    assert standing(data) is Standing.OTHER_STATEMENT
    assert "https://example.com/revoked/v1" in verdict(data).lines[0]


def test_one_good_signature_among_others_is_enough_and_stands_first() -> None:
    found = verdict(b"?", sign(DIGEST, OTHER, NOW), sign(ELSE, KEY, NOW), DATA)
    assert found.trusted
    assert [one.standing for one in found.findings] == ["good", "unreadable", "otherKey", "otherDigest"]
    assert not verdict(b"?", sign(DIGEST, OTHER, NOW), sign(ELSE, KEY, NOW)).trusted


def test_the_hint_is_not_believed() -> None:
    """A forger may write the name of any key."""
    forged = changed(
        lambda one: one["verificationMaterial"]["publicKey"].update(hint=KEY.public.hint), sign(DIGEST, OTHER, NOW)
    )
    assert standing(forged) is Standing.TAMPERED
    renamed = changed(lambda one: one["verificationMaterial"]["publicKey"].update(hint="whatever"))
    assert standing(renamed) is Standing.GOOD


def test_a_certificate_is_named() -> None:
    keyless = changed(lambda one: one.update(verificationMaterial={"certificate": {"rawBytes": "AA=="}}))
    assert verdict(keyless, key=OTHER.public).lines == (
        "signed with a certificate, which only cosign can check, not with this key",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
        lambda one: one.pop("verificationMaterial"),
        lambda one: one.update(verificationMaterial=None),
        lambda one: one.pop("dsseEnvelope"),
        lambda one: one.update(dsseEnvelope=[]),
        lambda one: one["dsseEnvelope"].update(signatures=[]),
        lambda one: one["dsseEnvelope"].update(signatures=one["dsseEnvelope"]["signatures"] * 2),
        lambda one: one["dsseEnvelope"]["signatures"][0].update(sig="?"),
        lambda one: one["dsseEnvelope"]["signatures"][0].update(sig=7),
        lambda one: one["dsseEnvelope"].update(payload=None),
        lambda one: one["verificationMaterial"]["publicKey"].update(hint="\x1b[2J"),
        lambda one: one["verificationMaterial"].update(publicKey="x"),
    ],
)
def test_what_is_no_bundle_cannot_be_read(change: Callable[[dict[str, Any]], object]) -> None:
    data = changed(change)
    with pytest.raises(UserError, match="bundle"):
        Bundle.from_bytes(data)
    assert standing(data) is Standing.UNREADABLE


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b" " * (LARGEST + 1)])
def test_what_is_no_json_of_a_bundle_cannot_be_read(data: bytes) -> None:
    assert standing(data) is Standing.UNREADABLE


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda one: one.pop("subject"),
        lambda one: one.update(subject=None),
        lambda one: one.update(subject=["x"]),
        lambda one: one.update(subject=[{"digest": {"sha512": "00"}}]),
        lambda one: one.update(subject=[{"digest": {"sha256": ["00"]}}]),
        lambda one: one.pop("predicateType"),
        lambda one: one.update(predicateType=["x"]),
        lambda one: ["no", "object"],
    ],
)
def test_a_statement_that_is_none_is_unreadable_even_when_rightly_signed(
    change: Callable[[dict[str, Any]], object],
) -> None:
    assert standing(of_statement(change)) is Standing.UNREADABLE


@pytest.mark.parametrize("annotations", [None, "x", {"dev.shipway.signed": 7}, {"dev.shipway.signed": "\x1b[2J"}])
def test_a_time_that_is_none_is_not_told(annotations: Any) -> None:
    found = verdict(of_statement(lambda one: one["subject"][0].update(annotations=annotations)))
    assert found.lines == (f"signed with the key {KEY.public.hint}",)


def test_a_type_that_was_not_signed_is_tampering() -> None:
    """The type is under the signature: it cannot be exchanged for one under which the payload means something else."""
    assert standing(changed(lambda one: one["dsseEnvelope"].update(payloadType="text/plain"))) is Standing.TAMPERED
    bundle = replace(Bundle.from_bytes(DATA), payload_type="text/plain")
    with pytest.raises(UserError, match="no in-toto statement"):
        bundle.statement()


def _where(field: str) -> range:
    value = {
        "payload": json.loads(DATA)["dsseEnvelope"]["payload"],
        "sig": json.loads(DATA)["dsseEnvelope"]["signatures"][0]["sig"],
    }[field].encode()
    start = DATA.index(value)
    return range(start, start + len(value) - 4)  # the last characters may hold bits that base64 does not use


@pytest.mark.parametrize("field", ["payload", "sig"])
@given(st.data())
def test_no_changed_byte_of_payload_or_signature_is_good(field: str, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(_where(field)))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != DATA[at]))
    document = DATA[:at] + bytes([byte]) + DATA[at + 1 :]
    same = {ord("-"): ord("+"), ord("_"): ord("/")}
    if same.get(byte) != DATA[at]:  # the other alphabet of base64 says the same
        assert not verdict(document).trusted


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(data: bytes) -> None:
    assert standing(data) is Standing.UNREADABLE


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_any_json_within_a_bundle_is_judged(value: Any) -> None:
    for path in (("mediaType",), ("verificationMaterial",), ("dsseEnvelope",), ("dsseEnvelope", "signatures")):
        document = json.loads(DATA)
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        assert not verdict(json.dumps(document).encode()).trusted or path == ("verificationMaterial",)


def test_model_signings_bundle_is_read() -> None:
    """Made by ``model_signing sign key`` 1.1.1: the same format, another statement and another kind of hint."""
    key = PublicKey.from_pem((HERE / "model-signing-1.1.1.pub").read_bytes())
    data = (HERE / "model-signing-1.1.1.sig").read_bytes()
    bundle = Bundle.from_bytes(data)
    assert bundle.signed_by(key)
    assert not bundle.signed_by(KEY.public)
    assert bundle.predicate_type == "https://model_signing/signature/v1.0"
    assert standing(data, key, bundle.digests[0]) is Standing.OTHER_STATEMENT
