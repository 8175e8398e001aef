"""The write-ahead log of a hub that was killed: SQLite drops what it cannot read of it, and we must not."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.kinds import Model
from shipway.store.sqlite import SqliteStore

FRAME = 24 + 4096


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store as kill -9 leaves it: ten writes, of which the file itself knows none."""
    with closing(SqliteStore(tmp_path / "live.db", now)) as store:
        for number in range(10):
            store.put(Model.model_validate({"metadata": {"name": f"m-{number}"}, "spec": {"description": "x"}}))
        for end in ("", "-wal"):
            shutil.copy(tmp_path / f"live.db{end}", tmp_path / f"store.db{end}")
    return tmp_path / "store.db"


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_a_whole_log_is_read(killed: Path) -> None:
    with closing(SqliteStore(killed, now)) as store:
        assert len(store.list()[0]) == 10


def test_a_torn_end_was_never_answered(killed: Path) -> None:
    log = killed.with_name("store.db-wal")
    log.write_bytes(log.read_bytes()[: -FRAME // 2])
    with closing(SqliteStore(killed, now)) as store:
        assert len(store.list()[0]) == 9


@pytest.mark.parametrize("offset", [3, 20, 32 + 9, 32 + 24 + 100, 32 + FRAME * 9 + 24 + 7])
def test_a_damaged_frame_is_named_and_kept(killed: Path, offset: int) -> None:
    log = killed.with_name("store.db-wal")
    flip(log, offset)
    content = log.read_bytes()
    with pytest.raises(Corrupt, match=r"store\.db-wal is damaged"):
        SqliteStore(killed, now)
    assert log.read_bytes() == content, "what can be read of it is for the repair"
