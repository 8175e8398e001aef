"""What was found in a home, as values: the input of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipway.database.salvage import Rows


@dataclass(frozen=True, slots=True)
class FileFound:
    """A database file: ``trouble`` is empty when it is sound; of a damaged one ``rows`` by table's name."""

    path: Path
    trouble: str = ""
    rows: Mapping[str, Rows] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlobFound:
    """A blob whose bytes are not what its digest says, or that is missing. ``needed_by``: tags, ``digits:3``;
    ``copy``: a file in the cache that has the right bytes still."""

    digest: str
    how: str
    needed_by: tuple[str, ...]
    copy: Path | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """The model versions that are lost with it."""
        return () if self.copy else tuple(one for one in self.needed_by if ":" in one)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything. ``models``: those that the layout has versions of."""

    store: FileFound
    journal: FileFound
    blobs: tuple[BlobFound, ...] = ()
    models: tuple[str, ...] = ()
    layout_trouble: str = ""
