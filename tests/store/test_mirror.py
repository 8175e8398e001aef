"""The store's memory is never behind the file, whoever wrote to it, and parses nothing twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.database import Database
from shipway.errors import EnvironmentFault, NotFound
from shipway.kinds import Model
from shipway.store.sqlite import MIGRATIONS, SqliteStore


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def model(name: str, description: str = "") -> Model:
    return Model.model_validate({"metadata": {"name": name}, "spec": {"description": description}})


@pytest.mark.parametrize("writes", [1, 3, 20])
def test_what_another_process_writes_is_seen(tmp_path: Path, writes: int) -> None:
    path = tmp_path / "store.db"
    with closing(SqliteStore(path, now, retention=5)) as here, closing(SqliteStore(path, now, retention=5)) as there:
        there.put(model("gone"))
        assert [one.name for one in here.list()[0]] == ["gone"]
        for number in range(writes):  # 20: more than the change log keeps
            there.put(model(f"m-{number:02}"))
        there.delete("Model", "gone")
        assert here.list() == there.list()
        assert here.texts() == there.texts()
        with pytest.raises(NotFound):
            here.get("Model", "gone")
        assert here.put(model("mine")).metadata.resource_version == writes + 3
        assert there.get("Model", "mine") == here.get("Model", "mine")


def test_objects_are_parsed_once(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store.db", now)) as store:
        store.put(model("a"))
        first = store.get("Model", "a")
        assert store.list()[0][0] is first
        assert next(iter(store.watch(0))).object is first


def test_a_write_that_failed_is_not_remembered(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store.db", now)) as store:
        kept = store.put(model("a"))
        with store._database.write() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(EnvironmentFault, match="disk is full"):
            store.put(model("b", "x" * 100_000))
        assert store.list() == ([kept], 1)
        assert len(store.texts()[0]) == 1
        assert list(store.watch(1)) == []


def test_a_store_of_the_first_schema_gets_checksums(tmp_path: Path) -> None:
    from_before = tmp_path / "store.db"
    with closing(SqliteStore(tmp_path / "new.db", now)) as new:
        new.put(model("a", "ü"))
        expected = new.list(), [one.text for one in new.watch(0)]
        _as_before(tmp_path / "new.db", from_before)
    with closing(SqliteStore(from_before, now)) as store:
        assert (store.list(), [one.text for one in store.watch(0)]) == expected
    SqliteStore(from_before, now).close()


def _as_before(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source)) as new,
        closing(Database(target, MIGRATIONS[:1])) as old,
        old.write() as connection,
    ):
        rows = new.execute("SELECT kind, name, object FROM objects")
        connection.executemany("INSERT INTO objects VALUES (?, ?, ?)", rows)
        rows = new.execute("SELECT version, type, kind, object FROM changes")
        connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?)", rows)
