"""Keys and signatures on the command line: nothing secret leaves the process, no file is replaced."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from shipway.signing import PrivateKey, PublicKey, judge
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import FakeHub

DIGEST = "sha256:" + "a" * 64
SIGNATURES = "/v1/models/digits/versions/{}/signatures"


@pytest.fixture(autouse=True)
def _in_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """A person sits there and types these passwords."""
    left = list(answers)
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO()))
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: left.pop(0))


def signable(hub: FakeHub) -> None:
    version = {"name": "digits", "version": 3, "digest": DIGEST}
    hub.routes[f"GET {SIGNATURES.format('champion')}"] = {**version, "signatures": []}
    hub.routes[f"POST {SIGNATURES.format(3)}"] = {**version, "referrer": DIGEST}


def made(folder: Path, password: bytes | None = None) -> PrivateKey:
    key = PrivateKey.generate()
    (folder / "k.key").touch(mode=0o600)
    (folder / "k.key").write_bytes(key.to_pem(password))
    return key


def test_keygen_writes_two_files_and_replaces_none(shipway: Shipway, tmp_path: Path) -> None:
    ended = shipway("models", "keygen", "--out", "k", "-o", "json")
    assert ended.code == 0
    key = PrivateKey.from_pem(Path("k.key").read_bytes())
    assert PublicKey.from_pem(Path("k.pub").read_bytes()).hint == key.public.hint == ended.json["key"]
    assert stat.S_IMODE(Path("k.key").stat().st_mode) == 0o600
    before = Path("k.key").read_bytes()
    for gone in (None, "k.pub"):
        if gone:
            Path(gone).unlink()
        again = shipway("models", "keygen", "--out", "k")
        assert (again.code, "k.key exists already" in again.err) == (2, True)
    Path("k.pub").touch()
    Path("k.key").rename("other")
    assert "k.pub exists already" in shipway("models", "keygen", "--out", "k").err
    assert Path("other").read_bytes() == before


def test_keygen_says_where_it_cannot_write(shipway: Shipway) -> None:
    ended = shipway("models", "keygen", "--out", "no/such/folder/k")
    assert (ended.code, "cannot write no/such/folder/k.key" in ended.err) == (5, True)


def test_a_password_is_asked_for_on_a_terminal(shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "secret", "secret")
    assert "with a password" in shipway("models", "keygen", "--out", "k").out
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in Path("k.key").read_bytes()
    signable(hub)
    typed(monkeypatch, "secret")
    assert shipway("models", "sign", "digits", "--key", "k.key").code == 0
    typed(monkeypatch, "wrong")
    assert "the password is wrong" in shipway("models", "sign", "digits", "--key", "k.key").err


def test_no_password_at_all_is_an_answer(shipway: Shipway, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "", "")
    assert "without a password" in shipway("models", "keygen", "--out", "k").out


def test_a_password_comes_from_a_file_a_descriptor_or_stdin(
    shipway: Shipway, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made(tmp_path, b"secret")
    signable(hub)
    (tmp_path / "password").write_text("secret\n")
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"secret\n")))
    for place in (tmp_path / "password", f"/dev/fd/{reading}", "-"):
        ended = shipway("models", "sign", "digits", "--key", "k.key", "--password-file", place)
        assert ended.code == 0, ended.err
    os.close(reading)
    (tmp_path / "password").write_text("")
    ended = shipway("models", "sign", "digits", "--key", "k.key", "--password-file", tmp_path / "password")
    assert (ended.code, "no password" in ended.err) == (2, True)
    ended = shipway("models", "sign", "digits", "--key", "k.key")
    assert "--password-file" in ended.err


def test_sign_sends_a_bundle_and_no_key(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    key = made(tmp_path)
    signable(hub)
    ended = shipway("models", "sign", "digits", "--key", "k.key", "-o", "json")
    assert ended.json["key"] == key.public.hint
    (bundle,) = hub.sent(f"POST {SIGNATURES.format(3)}")
    assert judge(DIGEST, [json.dumps(bundle).encode()], key.public).trusted
    private = "".join(key.to_pem(None).decode().splitlines()[1:-1])
    assert private[40:80] not in repr(hub.requests)


def test_keys_that_are_none_are_named(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    key = made(tmp_path)
    (tmp_path / "k.pub").write_bytes(key.public.to_pem())
    (tmp_path / "large").write_bytes(b"x" * 100_000)

    def said(name: str) -> tuple[int, str]:
        ended = shipway("models", "sign", "digits", "--key", name)
        return ended.code, ended.err

    assert said("nothing")[0] == 5
    assert "cannot read nothing" in said("nothing")[1]
    assert "allowed is an ECDSA key" in said("k.pub")[1]
    assert "holds no key" in said("large")[1]
    (tmp_path / "k.key").chmod(0o640)
    assert "others may read the private key k.key (mode 0640" in said("k.key")[1]
    assert hub.requests == []


def test_an_encrypted_key_may_lie_where_others_read(shipway: Shipway, hub: FakeHub, tmp_path: Path) -> None:
    made(tmp_path, b"secret")
    (tmp_path / "k.key").chmod(0o644)
    (tmp_path / "password").write_text("secret")
    signable(hub)
    assert shipway("models", "sign", "digits", "--key", "k.key", "--password-file", "password").code == 0
