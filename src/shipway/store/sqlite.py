"""The store of one machine: objects and their recent changes in one SQLite file.

The store's version is the number of its newest change; an object's ``resourceVersion`` is the
version at which it was written. The change log keeps the last ``retention`` changes, and always the
newest: it is what the version is counted from.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pydantic

from shipway.database import Database, Migration
from shipway.errors import Corrupt
from shipway.kinds import Object
from shipway.ports import Change
from shipway.store import semantics
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
)

_BATCH = 500  # changes that a watch reads at a time: the lock is free while they are used


class SqliteStore:
    """:class:`shipway.ports.Store` in a file. Any thread may call; other processes may read.

    Raises Corrupt, naming the file, for a file that is no database and for an object in it that
    breaks its schema; EnvironmentFault for a full disk, a locked file or a newer schema.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime], *, retention: int = RETENTION) -> None:
        self._database = Database(path, MIGRATIONS)
        self._clock = clock
        self._retention = retention
        self._written = threading.Condition()

    def get(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._database.read() as connection:
            return self._existing(connection, kind, name)

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        if kind is not None:
            semantics.check_kind(kind)
        with self._database.read() as connection:
            where, values = ("", ()) if kind is None else ("WHERE kind = ?", (kind,))
            rows = connection.execute(
                f"SELECT kind, object FROM objects {where} ORDER BY kind, name", values
            ).fetchall()
            _, version = _kept(connection)
        return [self._parse(*row) for row in rows], version

    def put(self, obj: Object) -> Object:
        semantics.check_kind(obj.kind)
        with self._database.write() as connection:
            outcome = semantics.put(
                self._find(connection, obj.kind, obj.name),
                obj,
                version=_kept(connection)[1] + 1,
                uid=str(uuid.uuid4()),
                now=self._clock(),
            )
            self._write(connection, outcome)
        return self._announced(outcome)

    def delete(self, kind: str, name: str) -> Object:
        semantics.check_kind(kind)
        with self._database.write() as connection:
            stored = self._existing(connection, kind, name)
            outcome = semantics.delete(stored, version=_kept(connection)[1] + 1, now=self._clock())
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
            reached = min(since + _BATCH, newest)
            rows = connection.execute(
                """SELECT type, kind, object, version FROM changes
                WHERE version > ? AND version <= ? AND kind = coalesce(?, kind) ORDER BY version""",
                (since, reached, kind),
            ).fetchall()
        return [Change(type_, self._parse(of, text), version) for type_, of, text, version in rows], reached

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
        text = _text(change.object)
        if change.type == "DELETED":
            connection.execute("DELETE FROM objects WHERE kind = ? AND name = ?", change.object.key)
        else:
            connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (*change.object.key, text))
        connection.execute(
            "INSERT INTO changes VALUES (?, ?, ?, ?)", (change.version, change.type, change.object.kind, text)
        )
        connection.execute("DELETE FROM changes WHERE version <= ?", (change.version - self._retention,))

    def _find(self, connection: sqlite3.Connection, kind: str, name: str) -> Object | None:
        row = connection.execute("SELECT object FROM objects WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return None if row is None else self._parse(kind, row[0])

    def _existing(self, connection: sqlite3.Connection, kind: str, name: str) -> Object:
        found = self._find(connection, kind, name)
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


def _text(obj: Object) -> str:
    # A lone surrogate (a log's tail with bytes that are not UTF-8) would pass json.dumps and never
    # be readable again: every later list would fail.
    return json.dumps(obj.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def _kept(connection: sqlite3.Connection) -> tuple[int, int]:
    """Oldest and newest version in the change log: ``(1, 0)`` while it is empty."""
    oldest, newest = connection.execute("SELECT min(version), max(version) FROM changes").fetchone()
    return (1, 0) if newest is None else (oldest, newest)
