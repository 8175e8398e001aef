"""The journal of one machine in one SQLite file. Lines are added, never changed: a trigger sees to that,
and a checksum to what happens below SQLite.

Times are whole microseconds since 1970 UTC, which is what a datetime holds: they come back equal.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shipway.database import Database, Migration, Table
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
    # A checksum for each line (see Database); NULL stands for a value that is not a number.
    (
        "DROP TRIGGER entries_are_final",
        "DROP TRIGGER points_are_final",
        "ALTER TABLE entries ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE points ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
        "UPDATE entries SET checksum = checksum_of(type, subject, reason, message, at, data, id)",
        "UPDATE points SET checksum = checksum_of(subject, run, name, value, at, step, id)",
        """CREATE TRIGGER entries_are_final BEFORE UPDATE ON entries
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TRIGGER points_are_final BEFORE UPDATE ON points
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    ),
)
ENTRIES = Table(
    "entries", ("type", "subject", "reason", "message", "at", "data", "id"), key=("id", "subject"), number="id"
)
POINTS = Table("points", ("subject", "run", "name", "value", "at", "step", "id"), key=("id", "subject"), number="id")
TABLES = (ENTRIES, POINTS)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqliteJournal:
    """:class:`shipway.ports.Journal` in a file. Any thread may call; other processes may read.

    Raises Corrupt and EnvironmentFault, naming the file, as :class:`shipway.database.Database` does.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, MIGRATIONS, TABLES)

    def append(self, entry: Entry) -> Entry:
        # What a user's code printed may stand in a message, with bytes that are not UTF-8 as surrogates.
        message = entry.message.encode("utf-8", "replace").decode()
        row = (entry.type, entry.subject, entry.reason, message, _stamp(entry.at), json.dumps(dict(entry.data)))
        with self._database.write() as connection:
            number = _next_id(connection, ENTRIES)
            connection.execute(ENTRIES.insert, ENTRIES.sealed(*row, number))
        return replace(entry, message=message, id=number)

    def entries(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        subject: str | None = None,
        type: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> list[Entry]:
        where, values = _where(after, before, since, subject=subject, type=type)
        order = "DESC" if newest else "ASC"
        with self._database.read() as connection:
            rows = connection.execute(
                f"{ENTRIES.select} WHERE {where} ORDER BY id {order} LIMIT ?", (*values, limit)
            ).fetchall()
        found = [
            Entry(type_, of, reason, message, _time(at), json.loads(data), number)
            for type_, of, reason, message, at, data, number in self._database.verified(ENTRIES, rows)
        ]
        return found[::-1] if newest else found

    def record(self, points: Sequence[MetricPoint]) -> None:
        with self._database.write() as connection:
            start = _next_id(connection, POINTS)
            rows = [
                POINTS.sealed(one.subject, one.run, one.name, _value(one.value), _stamp(one.at), one.step, number)
                for number, one in enumerate(points, start)
            ]
            connection.executemany(POINTS.insert, rows)

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        where, values = _where(after, subject=subject, run=run)
        with self._database.read() as connection:
            rows = connection.execute(f"{POINTS.select} WHERE {where} ORDER BY id", values).fetchall()
        return [
            MetricPoint(of, run_, name, math.nan if value is None else value, _time(at), step, number)
            for of, run_, name, value, at, step, number in self._database.verified(POINTS, rows)
        ]

    def prune(self, *, before: datetime, keep: int) -> int:
        with self._database.write() as connection:
            return sum(
                connection.execute(
                    f"""DELETE FROM {table} WHERE {final} AND (at < ? OR id <=
                    coalesce((SELECT id FROM {table} WHERE {final} ORDER BY id DESC LIMIT 1 OFFSET ?), 0))""",
                    (_stamp(before), keep),
                ).rowcount
                for table, final in (("entries", "type != 'ledger'"), ("points", "true"))
            )

    def close(self) -> None:
        self._database.close()


def _next_id(connection: sqlite3.Connection, table: Table) -> int:
    """As AUTOINCREMENT gives it, but known before the row is: its checksum holds it."""
    counted = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
    (largest,) = connection.execute(f"SELECT max(id) FROM {table.name}").fetchone()
    return max(counted[0] if counted else 0, largest or 0) + 1


def _where(
    after: int, before: int | None = None, since: datetime | None = None, **columns: str | None
) -> tuple[str, tuple[int | str, ...]]:
    # Only conditions that are asked for: "column = coalesce(?, column)" would hide the index from SQLite.
    given: dict[str, int | str | None] = {
        "id > ?": after,
        "id < ?": before,
        "at >= ?": None if since is None else _stamp(since),
        **{f"{name} = ?": value for name, value in columns.items()},
    }
    asked = {condition: value for condition, value in given.items() if value is not None}
    return " AND ".join(asked), tuple(asked.values())


def _value(value: float) -> float | None:
    # SQLite keeps no NaN; a diverged run's loss is NaN and must be shown as such: NULL stands for it.
    return None if math.isnan(value) else float(value)


def _stamp(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _time(stamp: int) -> datetime:
    return _EPOCH + stamp * _MICROSECOND
