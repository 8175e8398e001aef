"""Is a database file what was written? Asked before a hub uses it, and without changing a byte of it.

Four questions, because each sees what the others do not: SQLite's own check of its trees and indexes; is the schema
the one that our migrations make (a flipped letter in it would rename a column); does each row match its checksum; and
does SQLite read all of the write-ahead log (it takes the first damaged frame for the log's end, without a word, and
answered writes would be gone). Source of the log's format: https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from shipway.database.rows import Migration, Table, checksum_of, damaged
from shipway.errors import EnvironmentFault

BUSY_TIMEOUT_MS = 5000

_WAL_HEADER = 32
_FRAME_HEADER = 24
_LOOKS = (0, 0.05, 0.1, 0.2, 0.4, 0.8)  # seconds before each look at what may be another's commit


def check(path: Path, migrations: Sequence[Migration], tables: Sequence[Table]) -> None:
    """Raises Corrupt that names the file and what is damaged, EnvironmentFault for the file of a newer Shipway;
    sqlite3.Error and UnicodeDecodeError as SQLite does."""
    with closing(read_only(path)) as connection:
        connection.execute("BEGIN")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        schema = _schema(connection)
        _check_log(path)
        if not schema and version == 0:
            return  # new
        found = [line for row in connection.execute("PRAGMA integrity_check(3)") for line in row[0].splitlines()]
        if found != ["ok"]:
            raise damaged(path, "; ".join(line for line in found if not line.startswith("***")))
        _check_schema(path, schema, version, tuple(migrations))
        if version == len(migrations):
            for table in tables:
                for _ in table.verified(connection.execute(table.select), path):
                    pass


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, not even by a checkpoint when it is closed."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    connection.text_factory = text
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    return connection


def text(raw: bytes) -> str:
    """Bytes of a TEXT value: those that are no UTF-8 must reach the checksum, which names their row."""
    return raw.decode("utf-8", "surrogateescape")


def _schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name"
    ).fetchall()


def _check_schema(path: Path, schema: list[tuple[str, ...]], version: int, migrations: tuple[Migration, ...]) -> None:
    if 0 <= version <= len(migrations) and schema == _schema_of(migrations[:version]):
        return
    known = [_schema_of(migrations[:number]) for number in range(len(migrations) + 1)]
    if schema in known:
        raise damaged(path, f"its header says schema version {version}, its tables are those of {known.index(schema)}")
    if version > len(migrations):
        raise EnvironmentFault(
            f"{path} has schema version {version}; this Shipway knows up to {len(migrations)}",
            next_step="A newer Shipway wrote it: upgrade this one, or use another SHIPWAY_HOME.",
        )
    odd = sorted({one[1] for one in set(schema) ^ set(known[max(version, 0)])})
    raise damaged(path, f"its schema is not that of version {version}: {', '.join(odd)}")


@cache
def _schema_of(migrations: tuple[Migration, ...]) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.create_function("checksum_of", -1, checksum_of, deterministic=True)
        for migration in migrations:
            for statement in migration:
                memory.execute(statement)
        return _schema(memory)


def _check_log(path: Path) -> None:
    """Whether SQLite, which has just read the log into its index, read it to its end.

    Another connection that writes puts frames into the log first, waits for the disk, and then counts them in the
    index: in between it looks like damage. Damage stays.
    """
    log = path.with_name(f"{path.name}-wal")
    trouble = ""
    for pause in _LOOKS:
        time.sleep(pause)
        trouble = _trouble_of_log(path, log)
        if not trouble:
            return
    raise damaged(log, trouble)


def _trouble_of_log(path: Path, log: Path) -> str:
    with suppress(FileNotFoundError):
        data = log.read_bytes()
        if len(data) <= _WAL_HEADER + _FRAME_HEADER:
            return ""
        index = path.with_name(f"{path.name}-shm").read_bytes()
        # mxFrame as this machine writes numbers, aSalt as the log has it.
        (seen,), salt = struct.unpack_from("=I", index, 16), struct.unpack_from(">2I", index, 32)
        header = struct.unpack_from(">8I", data)
        if header[6:] != _sum_of_header(data[:24], little=not header[0] & 1):
            if not seen:
                return "its header does not match its checksum: the writes in it cannot be read"
            return ""  # a writer is just beginning the log anew
        size = _FRAME_HEADER + (header[2] or 65536)
        starts = range(_WAL_HEADER, len(data) - size + 1, size)
        frames = [struct.unpack_from(">4I", data, start) for start in starts]
        if not seen:
            salt = header[4:6]
        # A commit that lies beyond what SQLite reads: it was answered, and would be gone.
        lost = [number for number, one in enumerate(frames, 1) if number > seen and one[1] and one[2:] == salt]
        if lost and salt == header[4:6]:
            return f"frame {seen + 1} cannot be read, and a write that ends in frame {lost[-1]} with it"
    return ""


def _sum_of_header(data: bytes, *, little: bool) -> tuple[int, int]:
    first = second = 0
    for one, two in struct.iter_unpack("<2I" if little else ">2I", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
