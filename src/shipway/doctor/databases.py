"""The home's SQLite files as they lie there, whoever writes them or damaged them; nothing is created or changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shipway.database import Table
from shipway.database.check import text
from shipway.errors import Corrupt


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads. Raises sqlite3.Error.

    Without a write-ahead log nobody writes, and to open even for reading would make one beside the file; with one,
    a hub lives or was killed, and what it wrote last is in there. Source: https://www.sqlite.org/wal.html#readonly
    """
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    with closing(sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True)) as connection:
        connection.text_factory = text  # the checksums are made over these
        yield connection


def rows_of(path: Path, tables: Sequence[Table]) -> int:
    """How many rows the first table has; those of all are compared with their checksums.

    A hub that starts looks further: at the schema and the write-ahead log (:mod:`shipway.database.check`).

    Raises Corrupt, naming the damage; sqlite3.Error.
    """
    with read_only(path) as connection:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if found != "ok":
            raise Corrupt(found)
        counts = [_verified(connection, table, path) for table in tables]
        return counts[0]


def _verified(connection: sqlite3.Connection, table: Table, path: Path) -> int:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
    if "checksum" in columns:  # the next hub adds it to what an earlier Shipway wrote
        return sum(1 for _ in table.verified(connection.execute(table.select), path))
    return int(connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])


def newest(path: Path, table: str, limit: int) -> list[dict[str, Any]]:
    """The last rows of a table, oldest first, with the columns that it happens to have. Raises sqlite3.Error."""
    with read_only(path) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT ?", (limit,))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in reversed(cursor.fetchall())]


def texts(path: Path) -> list[str]:
    """The objects of a store, as they stand there. Raises sqlite3.Error."""
    with read_only(path) as connection:
        return [str(row[0]) for row in connection.execute("SELECT object FROM objects ORDER BY kind, name")]
