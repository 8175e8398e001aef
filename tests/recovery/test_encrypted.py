"""A home whose layout is encrypted: made so, converted, looked at, repaired, backed up."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from shipway import home
from shipway.errors import Corrupt, EnvironmentFault, NotFound, Refused, UserError
from shipway.oci import Digest, Layout, disk
from shipway.oci import cipher as ciphers
from shipway.recovery.backup import backup
from shipway.recovery.encrypt import encrypt
from shipway.recovery.inspect import inspect
from shipway.recovery.plan import plan
from shipway.recovery.repair import repair
from shipway.recovery.restore import restore
from shipway.settings import Settings
from tests.recovery.homes import NOW, made

SECRET = b"\x01\x02" * 50  # of the weights


def key_file(folder: Path, byte: int) -> Path:
    path = folder / f"key{byte}"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(bytes([byte]) * 32))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Settings:
    return made(tmp_path)


@pytest.fixture
def where(plain: Settings, tmp_path: Path) -> Settings:
    """With a key, and converted."""
    found = replace(plain, encryption_key=key_file(tmp_path, 1))
    encrypt(found)
    return found


def opened(where: Settings) -> Layout:
    return Layout(where.oci, ciphers.of_file(where.encryption_key))


def contents(where: Settings) -> list[bytes]:
    layout = opened(where)
    return [_whole(layout, digest) for digest, _ in sorted(layout.blobs.all())]


def _whole(layout: Layout, digest: Digest) -> bytes:
    with layout.blobs.open(digest) as content:
        return io.BufferedReader(content).read()


def holds_plain(where: Settings) -> bool:
    return any(SECRET in path.read_bytes() for path in where.oci.rglob("*") if path.is_file())


def test_a_home_is_converted(plain: Settings, tmp_path: Path) -> None:
    before, tags = contents(plain), Layout(plain.oci).tags()
    assert holds_plain(plain)
    (plain.oci / "partial" / ("0" * 64)).write_bytes(SECRET)
    where = replace(plain, encryption_key=key_file(tmp_path, 1))
    said = encrypt(where)
    assert said["blobs"] == len(before)
    assert not holds_plain(where)
    assert contents(where) == before
    assert opened(where).tags() == tags
    assert encrypt(where) == said, "once more changes nothing"
    with pytest.raises(Refused, match="no key was given"):
        Layout(plain.oci)


def test_a_conversion_that_was_killed_is_gone_on_with(
    plain: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(plain)
    where = replace(plain, encryption_key=key_file(tmp_path, 1))
    publish, left = disk.publish, [3]

    def dies(*arguments: object) -> None:
        if not left[0]:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        publish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "publish", dies)
    with pytest.raises(EnvironmentFault):
        encrypt(where)
    for cut in (where, plain):
        with pytest.raises(Refused, match="half encrypted") as told:
            opened(cut)
        assert told.value.next_step == "shipway hub encrypt"
    with pytest.raises(Refused, match="is encrypted with the key"):
        encrypt(replace(where, encryption_key=key_file(tmp_path, 2)))
    monkeypatch.undo()
    encrypt(where)
    assert contents(where) == before
    assert not holds_plain(where)


def test_a_home_without_a_key_or_a_layout_is_not_converted(plain: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no key is given"):
        encrypt(plain)
    with pytest.raises(NotFound, match="holds no layout"):
        encrypt(Settings(tmp_path / "nothing", encryption_key=key_file(tmp_path, 1)))


def test_a_layout_does_not_change_its_key(where: Settings, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"is encrypted with the key .*, and the key"):
        encrypt(replace(where, encryption_key=key_file(tmp_path, 2)))
    assert inspect(where).blobs == ()


def test_a_sound_home_is_sound(where: Settings) -> None:
    assert plan(inspect(where)).damage == ()


def test_the_wrong_key_is_no_damage(where: Settings, tmp_path: Path) -> None:
    for key in (None, key_file(tmp_path, 2)):
        with pytest.raises(Refused, match="is encrypted with the key"):
            inspect(replace(where, encryption_key=key))
        with pytest.raises(Refused, match="is encrypted with the key"):
            backup(replace(where, encryption_key=key), tmp_path / "b.tgz", NOW, secrets=False)


def test_a_damaged_blob_is_found_and_moved_away(where: Settings) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    found = plan(inspect(where))
    assert blob.name in found.damage[0]
    repair(where, found, NOW)
    assert opened(where).tags() == {}


def test_a_backup_stays_encrypted_and_comes_back(where: Settings, tmp_path: Path) -> None:
    file = tmp_path / "b.tgz"
    backup(where, file, NOW, secrets=False)
    with tarfile.open(file) as tar:
        members = [tar.extractfile(one) for one in tar]
        assert not any(SECRET in one.read() for one in members if one is not None)
    other = Settings(tmp_path / "other", temporary=tmp_path)
    home.own(other)
    restore(other, file, NOW, force=False)  # without the key
    with pytest.raises(Refused, match="no key was given"):
        opened(other)
    assert contents(replace(other, encryption_key=where.encryption_key)) == contents(where)


def test_a_backup_of_a_damaged_blob_is_refused(where: Settings, tmp_path: Path) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(Corrupt, match=blob.name):
        backup(where, tmp_path / "b.tgz", NOW, secrets=False)


def test_the_layout_says_its_key(where: Settings) -> None:
    marker = json.loads((where.oci / "oci-layout").read_bytes())
    key = ciphers.of_file(where.encryption_key).key_id
    assert marker == {"imageLayoutVersion": "1.0.0", "dev.shipway.encryption": key}
