"""What was found in a home, as values: the input of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipway.database.salvage import Rows
from shipway.models.modelpack import Form


@dataclass(frozen=True, slots=True)
class FileFound:
    """A database file: ``trouble`` is empty when it is sound; of a damaged one ``rows`` by table's name."""

    path: Path
    trouble: str = ""
    rows: Mapping[str, Rows] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attached:
    """What stands in a list of referrers: the ``list``'s tag, the ``referrer``'s digest (of a list that is damaged
    itself: its own), and ``what`` it is, in words: "what is attached to digits:1"."""

    list: str
    referrer: str
    what: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Where the bytes of a blob are still: a file, or with ``form`` a folder whose files are packed to it."""

    path: Path
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class BlobFound:
    """A blob whose bytes are not what its digest says, or that is missing. ``needed_by``: tags, ``digits:3``;
    ``attached``: what else needs it; ``copy``: what the cache has of it."""

    digest: str
    how: str
    needed_by: tuple[str, ...]
    copy: Copy | None = None
    attached: tuple[Attached, ...] = ()

    @property
    def lost(self) -> tuple[str, ...]:
        """The tags that lead nowhere with it."""
        return () if self.copy else self.needed_by


@dataclass(frozen=True, slots=True)
class Found:
    """Everything. ``models``: those that the layout has versions of."""

    store: FileFound
    journal: FileFound
    blobs: tuple[BlobFound, ...] = ()
    models: tuple[str, ...] = ()
    layout_trouble: str = ""
