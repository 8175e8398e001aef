"""Rows that carry a checksum: one flipped bit inside a text may leave a database that SQLite finds sound."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.errors import Corrupt

Migration = tuple[str, ...]  # statements of one step, applied together or not at all
Row = tuple[Any, ...]

REPAIR = "`shipway hub repair` shows what can be saved and what is lost; nothing was changed."


def checksum_of(*values: object) -> int:
    """CRC-32 of the values of a row, in SQL by the same name. Finds each error within 32 bits; 1 us a KB."""
    return zlib.crc32("\0".join(map(str, values)).encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows end in ``checksum``, made over ``columns``; ``key`` are those of them that name a row.

    ``number`` is the column that is the rowid, if there is one.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    number: str = ""

    @property
    def select(self) -> str:
        """SELECT of the columns and the checksum, to be continued with WHERE or ORDER BY."""
        return f"SELECT {', '.join(self.columns)}, checksum FROM {self.name}"

    @property
    def insert(self) -> str:
        """INSERT that takes what :meth:`sealed` gives."""
        marks = ", ".join("?" for _ in self.columns)
        return f"INSERT INTO {self.name} ({', '.join(self.columns)}, checksum) VALUES ({marks}, ?)"

    def sealed(self, *values: object) -> Row:
        """A row with its checksum."""
        return (*values, checksum_of(*values))

    def is_whole(self, row: Row) -> bool:
        """Whether a selected row is what was written."""
        return bool(checksum_of(*row[:-1]) == row[-1])

    def verified(self, rows: Iterable[Row], path: Path) -> Iterator[Row]:
        """The selected rows without their checksums. Raises Corrupt that names file, table and row."""
        for row in rows:
            if not self.is_whole(row):
                raise damaged(path, f"the row {self.named(row)} of {self.name} does not match its checksum")
            yield row[:-1]

    def named(self, row: Row) -> str:
        """What a row is called; of a damaged one this may be damaged too."""
        return "/".join(map(str, self.key_of(row)))

    def key_of(self, row: Row) -> Row:
        """The values that name a row."""
        return tuple(row[self.columns.index(one)] for one in self.key)


def damaged(path: Path, how: str) -> Corrupt:
    """The error for a file whose bytes are not those that were written."""
    return Corrupt(f"{path} is damaged: {how}", next_step=REPAIR)
