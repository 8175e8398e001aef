"""The connection to one SQLite file; sqlite3's errors become ours.

The rules of this file: WAL, so that a second process reads while the hub writes; one connection
behind one lock, so that any thread may call; transactions are short and begin with the write lock
(``BEGIN IMMEDIATE``), so that none fails half-way for a lock; an answered write survives a power
cut (``synchronous=FULL``: 0.25 ms on this project's machines).

The schema's version is ``PRAGMA user_version``: the number of migrations that were applied.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shipway.database.check import BUSY_TIMEOUT_MS, check, text
from shipway.database.rows import REPAIR, Migration, Row, Table, checksum_of
from shipway.errors import Corrupt, EnvironmentFault, ShipwayError

# Of 4 KiB. Whoever writes the last of them waits for all: at SQLite's 1,000 that is each 170th put of the store, which
# its slowest percent shows; at this it is each 340th.
_CHECKPOINT_PAGES = 2000


class Database:
    """A SQLite file with mode 0600 in a 0700 folder, checked and migrated to our schema when it is opened.

    Raises Corrupt when the file is damaged or no database (see :mod:`shipway.database.check`), EnvironmentFault when
    it cannot be opened or was written by a newer Shipway.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration], tables: Sequence[Table] = ()) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._blame():
            _create_private(path)
            check(path, migrations, tables)
            # Transactions are ours (isolation_level None): sqlite3 would begin them without the write lock.
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.text_factory = text
            self._connection.create_function("checksum_of", -1, checksum_of, deterministic=True)
        try:
            with self._blame():
                self._connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            self._migrate(migrations)
        except ShipwayError:
            self._connection.close()
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file, for several SELECTs."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction with the write lock: all of it is durable afterwards, or nothing happened."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def verified(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        """The selected rows without their checksums. Raises Corrupt that names file, table and row."""
        return table.verified(rows, self.path)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._blame():
            self._connection.execute(begin)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                # SQLite rolls back by itself on a full disk; a second ROLLBACK would hide that error.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        with self.write() as connection:
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            for number, migration in enumerate(migrations[found:], start=found + 1):
                for statement in migration:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={number}")

    @contextmanager
    def _blame(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise  # a bug of ours, such as a call after close(): not the machine's fault
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            raise in_our_words(error, self.path) from error


def in_our_words(error: sqlite3.Error | UnicodeDecodeError | OSError, path: Path) -> EnvironmentFault:
    """The error of the tree for one of SQLite's result codes (https://www.sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF  # extended codes carry the primary one in the low byte
    # A damaged schema: sqlite3 cannot even decode SQLite's message, which quotes it.
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError):
        return Corrupt(
            f"{path} is damaged: {error}",
            next_step=REPAIR,
        )
    if primary == sqlite3.SQLITE_FULL:
        return EnvironmentFault(f"the disk is full: cannot write {path}", next_step="Free some space and try again.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return EnvironmentFault(
            f"{path} is locked by another process for more than {BUSY_TIMEOUT_MS // 1000} s",
            next_step="End the program that holds it and try again.",
        )
    return EnvironmentFault(f"cannot use {path}: {error}", next_step="Check the folder's permissions and the disk.")


def _create_private(path: Path) -> None:
    # Before SQLite does it with the umask's mode; it gives the -wal and -shm files the mode of this one.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
