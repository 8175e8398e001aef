"""What SQLite adds to the contract: the file, other processes, migrations, and what can go wrong with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.database import Database, connection
from shipway.errors import Corrupt, EnvironmentFault, NotFound
from shipway.kinds import Model, ModelJob, Object
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import MIGRATIONS, OBJECTS, SqliteStore


def now() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)


def model(name: str) -> Model:
    return Model.model_validate({"metadata": {"name": name}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path, now, retention=5)
    yield made
    made.close()


def test_files_are_private_from_birth(path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(path, now)
        store.put(model("a"))
        modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_objects_and_versions_survive_a_restart(path: Path) -> None:
    store = SqliteStore(path, now)
    created = store.put(model("a"))
    store.put(model("b"))
    store.delete("Model", "b")
    version = store.list()[1]
    store.close()

    store = SqliteStore(path, now)
    assert store.list() == ([created], version)
    assert store.put(model("c")).metadata.resource_version == version + 1
    store.close()


def test_a_second_process_reads_and_sees_what_is_new(path: Path, store: SqliteStore) -> None:
    other = SqliteStore(path, now)
    store.put(model("a"))
    version = other.list()[1]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: next(other.watch(version, wait=10)))
        store.put(model("b"))
        assert waiting.result(timeout=10).object.name == "b"
    other.put(model("c"))
    assert [one.name for one in store.list()[0]] == ["a", "b", "c"]
    other.close()


def test_many_open_a_new_file_at_the_same_time(path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: SqliteStore(path, now), range(6)))
    for one in stores:
        one.close()


def test_old_changes_are_forgotten_and_watch_says_so(store: SqliteStore) -> None:
    for name in "abcdefgh":
        store.put(model(name))
    assert [one.version for one in store.watch(3)] == [4, 5, 6, 7, 8]
    with pytest.raises(NotFound, match="List again"):
        list(store.watch(2))
    store.delete("Model", "a")
    assert store.list()[1] == 9


def test_a_watch_of_a_rare_kind_is_not_left_behind(store: SqliteStore) -> None:
    # Its position moves with the whole store, or five changes of other kinds would end it.
    changes = store.watch(0, kind="ModelJob", wait=0.2)
    first = ModelJob.model_validate({"metadata": {"name": "j"}, "spec": {"command": ["x"]}})
    stored = store.put(first)
    assert next(changes).object == stored
    for name in "abcde":
        store.put(model(name))
    store.delete("ModelJob", "j")
    with pytest.raises(NotFound):  # the generator was not asked meanwhile: six changes came
        next(changes)


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_broken_file_is_corrupt_and_named(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=r"store\.db"):
        SqliteStore(path, now)
    assert path.read_bytes() == content


def test_pages_overwritten_under_us_are_corrupt(path: Path) -> None:
    store = SqliteStore(path, now)
    for number in range(50):
        store.put(model(f"m{number}"))
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * (path.stat().st_size - 4096))
    with pytest.raises(Corrupt, match=r"store\.db.*Page"):
        SqliteStore(path, now)


def test_an_object_that_breaks_its_schema_is_corrupt(path: Path) -> None:
    file = Database(path, MIGRATIONS)
    with file.write() as raw:
        raw.execute(OBJECTS.insert, OBJECTS.sealed("Model", "a", '{"kind":"Model","extra":1}'))
    file.close()
    with closing(SqliteStore(path, now)) as store, pytest.raises(Corrupt, match=r"store\.db"):
        store.get("Model", "a")


def test_a_newer_schema_is_refused_with_both_versions(path: Path) -> None:
    Database(path, [*MIGRATIONS, ("CREATE TABLE more (a)",)]).close()
    with pytest.raises(EnvironmentFault, match=rf"version {len(MIGRATIONS) + 1}.*up to {len(MIGRATIONS)}"):
        SqliteStore(path, now)


def test_migrations_run_once_in_order_and_all_or_nothing(path: Path) -> None:
    first = ("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    Database(path, [first]).close()
    with pytest.raises(EnvironmentFault):
        Database(path, [first, ("INSERT INTO t VALUES (2)", "INSERT INTO nowhere VALUES (1)")])
    again = Database(path, [first, ("INSERT INTO t VALUES (3)",)])
    with again.read() as connection:
        assert connection.execute("SELECT a FROM t ORDER BY a").fetchall() == [(1,), (3,)]
    again.close()


def test_a_full_disk_is_said_and_nothing_is_lost(path: Path, store: SqliteStore) -> None:
    kept = store.put(model("a"))
    with store._database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")
    big = Model.model_validate({"metadata": {"name": "b"}, "spec": {"description": "x" * 100_000}})
    with pytest.raises(EnvironmentFault, match="disk is full"):
        store.put(big)
    assert store.list() == ([kept], 1)
    store.put(kept.model_copy(update={"spec": kept.spec.model_copy(update={"description": "still works"})}))


def test_a_locked_file_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 10)
    store = SqliteStore(path, now)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EnvironmentFault, match="locked"):
        store.put(model("a"))
    other.close()
    store.put(model("a"))
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"store\.db"):
        SqliteStore(tmp_path / "file" / "store.db", now)


def test_text_that_is_not_utf8_does_not_poison_the_store(store: SqliteStore) -> None:
    job = ModelJob.model_validate({"metadata": {"name": "j"}, "spec": {"command": ["x"]}})
    store.put(job.model_copy(update={"status": job.status.model_copy(update={"tail": "\udc80 end"})}))
    assert store.get("ModelJob", "j").status.tail == "? end"


def test_subscribers_hear_of_writes_only(store: SqliteStore) -> None:
    heard: list[int] = []
    notifying = NotifyingStore(store)
    unsubscribe = notifying.subscribe(lambda: heard.append(notifying.list()[1]))
    created = notifying.put(model("a"))
    notifying.put(created)  # identical: not written
    assert heard == [1]
    finalized = notifying.put(_finalized(created, ("f",)))
    marked = notifying.delete("Model", "a")
    notifying.delete("Model", "a")  # marked already
    assert heard == [1, 2, 3]
    notifying.put(_finalized(marked, ()))
    assert heard == [1, 2, 3, 4]
    with pytest.raises(NotFound):
        notifying.put(finalized)
    unsubscribe()
    unsubscribe()
    notifying.put(model("b"))
    assert heard == [1, 2, 3, 4]


def _finalized(obj: Object, finalizers: tuple[str, ...]) -> Object:
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"finalizers": finalizers})})
