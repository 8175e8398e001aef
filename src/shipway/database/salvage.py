"""Read what can still be read of a damaged file, and copy a living one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from shipway.database.check import check, read_only
from shipway.database.connection import Database, in_our_words
from shipway.database.rows import Migration, Row, Table
from shipway.errors import ShipwayError

_HIGHEST = 1 << 40  # the search ends here: more rows than any home writes


@dataclass(frozen=True, slots=True)
class Rows:
    """Of one table: rows that match their checksums (without them), the names of those that do not, and whether
    there may be more in pages that cannot be read at all."""

    table: Table
    whole: tuple[Row, ...]
    broken: tuple[str, ...]
    cut: bool


def trouble(path: Path, migrations: Sequence[Migration], tables: Sequence[Table]) -> ShipwayError | None:
    """What :func:`shipway.database.check.check` says of a file, as a value."""
    try:
        check(path, migrations, tables)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return in_our_words(error, path)
    except ShipwayError as error:
        return error
    return None


def salvage(path: Path, tables: Sequence[Table]) -> list[Rows]:
    """Every row that can be read; of a file that SQLite cannot open, none. The file is not changed."""
    try:
        with closing(read_only(path)) as connection:
            return [_rows_of(connection, table) for table in tables]
    except (sqlite3.Error, UnicodeDecodeError, OSError):
        return [Rows(table, (), (), cut=True) for table in tables]


def rewrite(path: Path, migrations: Sequence[Migration], tables: Sequence[tuple[Table, Sequence[Row]]]) -> None:
    """A new database at ``path`` (which must not exist) with these rows."""
    with closing(Database(path, migrations)) as made, made.write() as connection:
        for table, rows in tables:
            connection.executemany(table.insert, [table.sealed(*row) for row in rows])


def copy(source: Path, target: Path) -> None:
    """A consistent copy while others read and write (https://www.sqlite.org/backup.html). Raises EnvironmentFault."""
    try:
        with closing(read_only(source)) as connection, closing(sqlite3.connect(target)) as made:
            connection.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")  # one file: a copy needs no write-ahead log beside it
    except sqlite3.Error as error:
        raise in_our_words(error, source) from error


def _rows_of(connection: sqlite3.Connection, table: Table) -> Rows:
    whole: dict[Row, Row] = {}
    broken: list[str] = []
    cut = False
    for row in _readable(connection, table):
        if row is None:
            cut = True
        elif table.is_whole(row):
            whole[table.key_of(row)] = row[:-1]
        else:
            broken.append(table.named(row))
    return Rows(table, tuple(whole.values()), tuple(dict.fromkeys(broken)), cut)


def _readable(connection: sqlite3.Connection, table: Table) -> Iterator[Row | None]:
    """The rows from the first on; None where a page cannot be read, then those from the last back to it, and those
    between two such pages where a number leads there."""
    try:
        yield from connection.execute(table.select)
        return
    except sqlite3.Error:
        yield None
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.Error):
            by = ", ".join(f"{one} {order}" for one in ((table.number,) if table.number else table.key))
            yield from connection.execute(f"{table.select} ORDER BY {by}")
    if table.number:
        yield from _over_the_gaps(connection, table)


def _over_the_gaps(connection: sqlite3.Connection, table: Table) -> Iterator[Row]:
    position, step = 0, 1
    while position < _HIGHEST:
        try:
            for row in connection.execute(
                f"{table.select} WHERE {table.number} > ? ORDER BY {table.number}", (position,)
            ):
                position, step = int(row[table.columns.index(table.number)]), 1
                yield row
            return
        except sqlite3.Error:
            position, step = position + step, step * 2
