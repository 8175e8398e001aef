"""The journal of one machine in one SQLite file. Lines are added, never changed: a trigger sees to that.

Times are whole microseconds since 1970 UTC, which is what a datetime holds: they come back equal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shipway.database import Database, Migration
from shipway.ports import Entry, MetricPoint

# AUTOINCREMENT: after a prune of the newest lines their ids must not come again (clients read "after id").
MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE entries (
            id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL,
            message TEXT NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX entries_by_subject ON entries (subject, id)",
        """CREATE TABLE points (
            id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, run TEXT NOT NULL, name TEXT NOT NULL,
            value REAL, at INTEGER NOT NULL, step INTEGER
        ) STRICT""",
        "CREATE INDEX points_by_subject ON points (subject, id)",
        """CREATE TRIGGER entries_are_final BEFORE UPDATE ON entries
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TRIGGER points_are_final BEFORE UPDATE ON points
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    ),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqliteJournal:
    """:class:`shipway.ports.Journal` in a file. Any thread may call; other processes may read.

    Raises Corrupt and EnvironmentFault, naming the file, as :class:`shipway.database.Database` does.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, MIGRATIONS)

    def append(self, entry: Entry) -> Entry:
        # What a user's code printed may stand in a message, with bytes that are not UTF-8 as surrogates.
        message = entry.message.encode("utf-8", "replace").decode()
        row = (entry.type, entry.subject, entry.reason, message, _stamp(entry.at), json.dumps(dict(entry.data)))
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT INTO entries (type, subject, reason, message, at, data) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        return replace(entry, message=message, id=int(cursor.lastrowid or 0))

    def entries(
        self, *, after: int = 0, subject: str | None = None, type: str | None = None, limit: int = 1000
    ) -> list[Entry]:
        where, values = _where(after, subject=subject, type=type)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT type, subject, reason, message, at, data, id FROM entries WHERE {where} ORDER BY id LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [
            Entry(type_, of, reason, message, _time(at), json.loads(data), number)
            for type_, of, reason, message, at, data, number in rows
        ]

    def record(self, points: Sequence[MetricPoint]) -> None:
        rows = [
            (one.subject, one.run, one.name, None if math.isnan(one.value) else one.value, _stamp(one.at), one.step)
            for one in points
        ]
        with self._database.write() as connection:
            connection.executemany(
                "INSERT INTO points (subject, run, name, value, at, step) VALUES (?, ?, ?, ?, ?, ?)", rows
            )

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        where, values = _where(after, subject=subject, run=run)
        with self._database.read() as connection:
            rows = connection.execute(
                f"SELECT subject, run, name, value, at, step, id FROM points WHERE {where} ORDER BY id", values
            ).fetchall()
        return [
            # SQLite keeps no NaN, it writes NULL; a diverged run's loss is NaN and must be shown as such.
            MetricPoint(of, run_, name, math.nan if value is None else value, _time(at), step, number)
            for of, run_, name, value, at, step, number in rows
        ]

    def prune(self, before: datetime) -> int:
        """Forget decisions, events and points older than ``before``; how many. The ledger stays for ever."""
        with self._database.write() as connection:
            stamp = (_stamp(before),)
            entries = connection.execute("DELETE FROM entries WHERE at < ? AND type != 'ledger'", stamp).rowcount
            return entries + connection.execute("DELETE FROM points WHERE at < ?", stamp).rowcount

    def close(self) -> None:
        self._database.close()


def _where(after: int, **columns: str | None) -> tuple[str, tuple[int | str, ...]]:
    # Only conditions that are asked for: "column = coalesce(?, column)" would hide the index from SQLite.
    given = {name: value for name, value in columns.items() if value is not None}
    return " AND ".join(["id > ?", *(f"{name} = ?" for name in given)]), (after, *given.values())


def _stamp(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(stamp: int) -> datetime:
    return _EPOCH + stamp * _MICROSECOND
