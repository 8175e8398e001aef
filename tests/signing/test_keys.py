from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from shipway.errors import UserError
from shipway.signing import PrivateKey, PublicKey, is_encrypted

KEY = PrivateKey.generate()


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    no = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no)


def test_a_key_goes_to_pem_and_back() -> None:
    again = PrivateKey.from_pem(KEY.to_pem(None))
    signature = again.sign(b"a message")
    assert PublicKey.from_pem(KEY.public.to_pem()).verifies(signature, b"a message")
    assert not KEY.public.verifies(signature, b"another message")
    assert not PrivateKey.generate().public.verifies(signature, b"a message")
    assert not KEY.public.verifies(b"no signature", b"a message")


def test_a_password_is_needed_and_must_be_right() -> None:
    data = KEY.to_pem(b"a long one")
    assert is_encrypted(data)
    assert PrivateKey.from_pem(data, b"a long one").public.hint == KEY.public.hint
    for password, said in ((None, "no password was given"), (b"", "no password"), (b"wrong", "the password is wrong")):
        with pytest.raises(UserError, match=said):
            PrivateKey.from_pem(data, password)


def test_a_password_that_is_not_needed_does_no_harm() -> None:
    assert PrivateKey.from_pem(KEY.to_pem(None), b"for nothing").public.hint == KEY.public.hint


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_the_curves_of_cosign_sign(curve: ec.EllipticCurve) -> None:
    key = PrivateKey.from_pem(_pem(ec.generate_private_key(curve)))
    assert key.public.verifies(key.sign(b"x"), b"x")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
)
def test_other_algorithms_are_refused(key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(UserError, match="of another algorithm: allowed is an ECDSA key"):
        PrivateKey.from_pem(_pem(key))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    with pytest.raises(UserError, match="of another algorithm"):
        PublicKey.from_pem(key.public_key().public_bytes(serialization.Encoding.PEM, public))


def test_what_is_no_key_is_refused() -> None:
    for data in (b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\xff" * 100):
        with pytest.raises(UserError, match="cannot be read"):
            PublicKey.from_pem(data)
        with pytest.raises(UserError, match="cannot be read"):
            PrivateKey.from_pem(data)


def test_a_private_key_in_the_place_of_a_public_one_is_told_so() -> None:
    for data in (KEY.to_pem(None), KEY.to_pem(b"secret")):
        with pytest.raises(UserError, match="a private key was given"):
            PublicKey.from_pem(data)


def test_cosigns_own_form_is_named() -> None:
    data = b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    with pytest.raises(UserError, match="cosign's own") as told:
        PrivateKey.from_pem(data, b"x")
    assert "cosign import-key-pair" in told.value.next_step


def test_the_hint_is_cosigns() -> None:
    """internal/key/svkeypair.go: base64 of the SHA-256 of the PKIX form."""
    text = KEY.public.to_pem().decode()
    der = base64.b64decode("".join(text.splitlines()[1:-1]))
    assert KEY.public.hint == base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_no_private_key_is_shown() -> None:
    assert repr(KEY) == "PrivateKey()"
