"""Our bundles in the hands of programs that others wrote."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipway.signing import Bundle, PrivateKey, sign
from shipway.signing.bundle import pae

KEY = PrivateKey.generate()
DIGEST = "sha256:" + "0123456789abcdef" * 4
DATA = sign(DIGEST, KEY, datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.extras
def test_sigstores_own_models_read_it() -> None:
    theirs = pytest.importorskip("sigstore_models.bundle.v1")
    read = theirs.Bundle.from_json(DATA)
    assert read.media_type == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert read.verification_material.public_key.hint == KEY.public.hint
    assert read.dsse_envelope.payload_type == "application/vnd.in-toto+json"
    assert read.dsse_envelope.payload == Bundle.from_bytes(DATA).payload


@pytest.mark.extras
def test_securesystemslib_verifies_the_envelope() -> None:
    dsse, signer = pytest.importorskip("securesystemslib.dsse"), pytest.importorskip("securesystemslib.signer")

    def theirs(key: PrivateKey) -> Any:
        return signer.SSlibKey("a key", "ecdsa", "ecdsa-sha2-nistp256", {"public": key.public.to_pem().decode()})

    # DSSE wants the key's name in the envelope; sigstore puts it into the bundle around it.
    document = json.loads(DATA)["dsseEnvelope"]
    document["signatures"][0]["keyid"] = "a key"
    envelope = dsse.Envelope.from_dict(document)
    assert list(envelope.verify([theirs(KEY)], 1)) == ["a key"]
    with pytest.raises(pytest.importorskip("securesystemslib.exceptions").VerificationError):
        envelope.verify([theirs(PrivateKey.generate())], 1)


@pytest.mark.realtool
def test_openssl_verifies_the_signature(tmp_path: Path) -> None:
    bundle = Bundle.from_bytes(DATA)
    (tmp_path / "key.pub").write_bytes(KEY.public.to_pem())
    (tmp_path / "signature").write_bytes(bundle.signature)
    (tmp_path / "signed").write_bytes(pae(bundle.payload_type, bundle.payload))
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pub", "-signature", "signature", "signed"]
    assert "Verified OK" in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / "signed").write_bytes(pae(bundle.payload_type, bundle.payload + b" "))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1


@pytest.mark.realtool
def test_keys_that_openssl_made_sign(tmp_path: Path) -> None:
    def openssl(*arguments: str) -> bytes:
        command = ["openssl", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, input=b"").stdout

    old_form = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
    (tmp_path / "key").write_bytes(old_form)
    encrypted = openssl("pkcs8", "-topk8", "-in", "key", "-passout", "pass:secret")
    public = openssl("ec", "-in", "key", "-pubout")
    for key in (PrivateKey.from_pem(old_form), PrivateKey.from_pem(encrypted, b"secret")):
        assert key.public.to_pem() == public


@pytest.mark.realtool
def test_openssl_opens_our_private_keys(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY.to_pem(b"secret"))
    command = ["openssl", "pkey", "-in", "key", "-passin", "pass:secret", "-pubout"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == KEY.public.to_pem()
