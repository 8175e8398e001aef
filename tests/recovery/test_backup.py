"""A backup is whole or not there; a restore verifies all before it replaces anything."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shipway import home
from shipway.errors import Corrupt, NotFound, Refused, ShipwayError, UserError
from shipway.journal.sqlite import SqliteJournal
from shipway.oci import Layout
from shipway.recovery.backup import backup
from shipway.recovery.lost import check_nothing_lost
from shipway.recovery.restore import finish, restore
from shipway.settings import Settings
from shipway.store.sqlite import SqliteStore
from tests.recovery.homes import NOW, flip, made


@pytest.fixture
def where(tmp_path: Path) -> Settings:
    return made(tmp_path)


@pytest.fixture
def saved(where: Settings, tmp_path: Path) -> Path:
    backup(where, tmp_path / "b.tgz", NOW, secrets=False)
    return tmp_path / "b.tgz"


@pytest.fixture
def other(tmp_path: Path) -> Settings:
    where = Settings(tmp_path / "other", temporary=tmp_path)
    home.own(where)
    return where


def test_a_home_comes_back_elsewhere(where: Settings, saved: Path, other: Settings) -> None:
    restore(other, saved, NOW, force=False)
    with closing(SqliteStore(where.store, lambda: NOW)) as one, closing(SqliteStore(other.store, lambda: NOW)) as two:
        assert two.list() == one.list()
    with closing(SqliteJournal(where.journal)) as before, closing(SqliteJournal(other.journal)) as after:
        assert after.entries() == before.entries()
    assert Layout(other.oci).tags() == Layout(where.oci).tags()
    assert other.store.stat().st_mode & 0o777 == 0o600


def test_a_backup_is_private_and_never_overwrites(where: Settings, saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="exists already"):
        backup(where, saved, NOW, secrets=False)
    assert [one.name for one in saved.parent.glob(".b.tgz*")] == []


def test_a_write_that_is_not_in_the_file_yet_is_in_the_backup(where: Settings, other: Settings, tmp_path: Path) -> None:
    with closing(SqliteStore(where.store, lambda: NOW)) as store:  # a hub that runs: its last write is in the log
        store.delete("ModelJob", "train")
        backup(where, tmp_path / "live.tgz", NOW, secrets=False)
        expected = store.list()
    restore(other, tmp_path / "live.tgz", NOW, force=False)
    with closing(SqliteStore(other.store, lambda: NOW)) as store:
        assert store.list() == expected


def test_secrets_go_along_only_when_asked(where: Settings, saved: Path, other: Settings, tmp_path: Path) -> None:
    secret = where.secrets / "tok" / "KEY"
    secret.parent.mkdir(parents=True)
    secret.write_text("sesame")
    backup(where, tmp_path / "with.tgz", NOW, secrets=True)
    backup(where, tmp_path / "without.tgz", NOW, secrets=False)
    with tarfile.open(tmp_path / "without.tgz") as tar:
        assert not any(name.startswith("secrets") for name in tar.getnames())
    restore(other, tmp_path / "with.tgz", NOW, force=False)
    assert (other.secrets / "tok" / "KEY").read_text() == "sesame"


def test_a_damaged_blob_is_not_backed_up_as_if_it_were_whole(where: Settings, tmp_path: Path) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    flip(blob, b"\x01\x02\x01")
    with pytest.raises(Corrupt, match=blob.name):
        backup(where, tmp_path / "bad.tgz", NOW, secrets=False)
    assert not (tmp_path / "bad.tgz").exists()


def test_there_must_be_something_to_back_up(other: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        backup(other, tmp_path / "none.tgz", NOW, secrets=False)


def test_a_home_that_is_not_empty_is_refused_and_with_force_moved_aside(where: Settings, saved: Path) -> None:
    before = where.store.read_bytes()
    with pytest.raises(Refused, match="not empty"):
        restore(where, saved, NOW, force=False)
    assert where.store.read_bytes() == before
    aside = Path(restore(where, saved, NOW, force=True)["aside"])
    assert (aside / "store.db").read_bytes() == before
    assert where.store.exists()


@pytest.mark.parametrize("moves", range(12))
def test_a_restore_killed_between_two_moves_is_ended_by_who_comes_next(
    moves: int, where: Settings, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteStore(where.store, lambda: NOW)) as store:
        expected = store.list()[0]
        store.delete("ModelJob", "train")
    old = where.store.read_bytes()
    rename, left = Path.rename, iter(range(moves))

    def killed(path: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "rename", killed)
        restore(where, saved, NOW, force=True)
    finish(where, NOW)
    check_nothing_lost(where)
    assert not list(where.home.glob("restor*"))
    asides = list(where.home.glob("before-restore-*/store.db"))
    with closing(SqliteStore(where.store, lambda: NOW)) as store:
        if moves == 0:
            assert not asides, "killed before it was verified: as if it had not been asked for"
        else:
            assert store.list()[0] == expected
            assert [one.read_bytes() for one in asides] == [old]


def test_what_a_killed_restore_unpacked_is_removed_by_the_next(other: Settings, saved: Path) -> None:
    (other.home / "restore-abc" / "home").mkdir(parents=True)
    restore(other, saved, NOW, force=False)
    assert not list(other.home.glob("restor*"))


def test_a_home_that_runs_something_is_refused_even_with_force(saved: Path, where: Settings) -> None:
    (where.workloads / "digits-00001").mkdir(parents=True)
    with pytest.raises(Refused, match="digits-00001"):
        restore(where, saved, NOW, force=True)


def _flipped(content: bytes) -> bytes:
    changed = bytearray(gzip.decompress(content))
    changed[changed.index(b"\x01\x02\x01\x02") + 10] ^= 1
    return gzip.compress(bytes(changed))


def _with(member: tarfile.TarInfo) -> Callable[[bytes], bytes]:
    def add(content: bytes) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
            new.addfile(member, io.BytesIO(b"x" * member.size))
            for one in old:
                new.addfile(one, old.extractfile(one))
        return out.getvalue()

    return add


def _member(name: str, *, link: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    if link:
        member.type, member.linkname = tarfile.SYMTYPE, link
    return member


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_flipped, Corrupt),
        (lambda content: content[: len(content) // 2], ShipwayError),
        (lambda content: b"no tar at all", UserError),
        (lambda content: b"", UserError),
        (_with(_member("../outside", size=3)), Refused),
        (_with(_member("/etc/outside", size=3)), Refused),
        (_with(_member("oci/blobs/sha256/../../../x", size=3)), Refused),
        (_with(_member("secrets", link="/etc")), Refused),
        (_with(_member("store.db", link="/etc/passwd")), Refused),
        (_with(_member("secrets/tok/KEY", size=3)), Corrupt),  # a name that may be, and is not in the manifest
    ],
)
def test_what_is_not_as_it_was_saved_changes_nothing(
    change: Callable[[bytes], bytes], error: type[ShipwayError], saved: Path, other: Settings, tmp_path: Path
) -> None:
    saved.write_bytes(change(saved.read_bytes()))
    before = sorted(other.home.iterdir())
    with pytest.raises(error):
        restore(other, saved, NOW, force=False)
    assert sorted(other.home.iterdir()) == before
    assert not (tmp_path / "outside").exists()


def test_a_file_that_is_not_there(other: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        restore(other, tmp_path / "absent.tgz", NOW, force=False)
