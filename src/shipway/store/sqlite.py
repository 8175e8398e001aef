"""The store of one machine: objects and their recent changes in one SQLite file, and a mirror of it in memory.

The store's version is the number of its newest change; an object's ``resourceVersion`` is the
version at which it was written. The change log keeps the last ``retention`` changes, and always the
newest: it is what the version is counted from.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pydantic

from shipway.database import Database, Migration, Table
from shipway.errors import Corrupt
from shipway.kinds import Object
from shipway.ports import Change
from shipway.store import semantics
from shipway.store.mirror import Mirror
from shipway.store.semantics import RETENTION, Outcome

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE objects (
            kind TEXT NOT NULL, name TEXT NOT NULL, object TEXT NOT NULL, PRIMARY KEY (kind, name)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE changes (
            version INTEGER PRIMARY KEY, type TEXT NOT NULL, kind TEXT NOT NULL, object TEXT NOT NULL
        ) STRICT""",
    ),
    (
        "ALTER TABLE objects ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE changes ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "UPDATE objects SET checksum = checksum_of(kind, name, object)",
        "UPDATE changes SET checksum = checksum_of(version, type, kind, object)",
    ),
)
OBJECTS = Table("objects", ("kind", "name", "object"), key=("kind", "name"))
CHANGES = Table("changes", ("version", "type", "kind", "object"), key=("version",), number="version")
TABLES = (OBJECTS, CHANGES)

_BATCH = 500  # changes that a watch reads at a time: the lock is free while they are used


class SqliteStore:
    """:class:`shipway.ports.Store` in a file. Any thread may call; other processes may read.

    Raises Corrupt, naming the file, for a file that is damaged or no database and for an object in it that
    breaks its schema; EnvironmentFault for a full disk, a locked file or a newer schema.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime], *, retention: int = RETENTION) -> None:
        self._database = Database(path, MIGRATIONS, TABLES)
        self._clock = clock
        self._retention = retention
        self._written = threading.Condition()
        self._mirror = Mirror((), -1, self._parse)  # behind everything: filled by the first call

    def get(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._database.read() as connection:
            return self._existing(connection, kind, name)

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        if kind is not None:
            semantics.check_kind(kind)
        with self._database.read() as connection:
            mirror = self._current(connection)
            return mirror.objects(kind), mirror.version

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        if kind is not None:
            semantics.check_kind(kind)
        with self._database.read() as connection:
            mirror = self._current(connection)
            return mirror.texts(kind), mirror.version

    def put(self, obj: Object) -> Object:
        semantics.check_kind(obj.kind)
        with self._database.write() as connection:
            outcome = semantics.put(
                self._current(connection).find(obj.kind, obj.name),
                obj,
                version=self._mirror.version + 1,
                uid=str(uuid.uuid4()),
                now=self._clock(),
            )
            self._write(connection, outcome)
        return self._announced(outcome)

    def delete(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._database.write() as connection:
            stored = self._existing(connection, kind, name)
            outcome = semantics.delete(stored, version=self._mirror.version + 1, now=self._clock())
            self._write(connection, outcome)
        return self._announced(outcome)

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        if kind is not None:
            semantics.check_kind(kind)
        return semantics.follow(
            partial(self._changes, kind=kind), since, wait=wait, pause=self._pause, monotonic=time.monotonic
        )

    def close(self) -> None:
        self._database.close()

    def _changes(self, since: int, *, kind: str | None) -> tuple[Sequence[Change], int]:
        with self._database.read() as connection:
            oldest, newest = _kept(connection)
            semantics.check_since(since, oldest=oldest, newest=newest)
            found, reached = self._current(connection).since(since), newest
            if found is None:
                reached = min(since + _BATCH, newest)
                rows = connection.execute(
                    f"{CHANGES.select} WHERE version > ? AND version <= ? ORDER BY version", (since, reached)
                )
                found = [
                    Change(type_, self._parse(of, text), version, text)
                    for version, type_, of, text in self._database.verified(CHANGES, rows)
                ]
        return [one for one in found if kind in (None, one.object.kind)], reached

    def _current(self, connection: sqlite3.Connection) -> Mirror:
        """The mirror, brought to what is committed."""
        oldest, newest = _kept(connection)
        if not oldest - 1 <= self._mirror.version <= newest:
            rows = self._database.verified(OBJECTS, connection.execute(OBJECTS.select))
            self._mirror = Mirror(rows, newest, self._parse)
        elif self._mirror.version < newest:
            rows = connection.execute(f"{CHANGES.select} WHERE version > ? ORDER BY version", (self._mirror.version,))
            for version, type_, kind, text in self._database.verified(CHANGES, rows):
                self._mirror.learn(type_, kind, text, version)
        return self._mirror

    def _pause(self, seconds: float) -> None:
        with self._written:
            self._written.wait(seconds)

    def _announced(self, outcome: Outcome) -> Object:
        if outcome.change is not None:
            with self._written:
                self._written.notify_all()
        return outcome.result

    def _write(self, connection: sqlite3.Connection, outcome: Outcome) -> None:
        change = outcome.change
        if change is None:
            return
        connection.execute("DELETE FROM objects WHERE kind = ? AND name = ?", change.object.key)
        if change.type != "DELETED":
            connection.execute(OBJECTS.insert, OBJECTS.sealed(*change.object.key, change.text))
        row = (change.version, change.type, change.object.kind, change.text)
        connection.execute(CHANGES.insert, CHANGES.sealed(*row))
        connection.execute("DELETE FROM changes WHERE version <= ?", (change.version - self._retention,))

    def _existing(self, connection: sqlite3.Connection, kind: str, name: str) -> Object:
        found = self._current(connection).find(kind, name)
        if found is None:
            raise semantics.no_such(kind, name)
        return found

    def _parse(self, kind: str, text: str) -> Object:
        try:
            return semantics.check_kind(kind).model_validate_json(text)
        except pydantic.ValidationError as error:
            raise Corrupt(
                f"{self._database.path} holds a {kind} that breaks its schema: {error}",
                next_step="Use the Shipway that wrote it, or another SHIPWAY_HOME.",
            ) from error


def _kept(connection: sqlite3.Connection) -> tuple[int, int]:
    """Oldest and newest version in the change log: ``(1, 0)`` while it is empty."""
    # Two looks at the ends of the key: for min and max in one SELECT, SQLite scans the whole table (1.6 ms).
    oldest, newest = connection.execute(
        "SELECT (SELECT min(version) FROM changes), (SELECT max(version) FROM changes)"
    ).fetchone()
    return (1, 0) if newest is None else (oldest, newest)
