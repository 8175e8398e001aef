"""What differs between two data sets: which files, and how many bytes are new. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shipway.data.files import DataFile
from shipway.oci import Descriptor


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: its bytes before and after, None where it was not there."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Files sorted by name; ``new_bytes`` is what the second has to store or fetch that the first did not have."""

    added: tuple[FileChange, ...]
    removed: tuple[FileChange, ...]
    changed: tuple[FileChange, ...]
    unchanged: int
    new_bytes: int


def difference(
    before: Iterable[DataFile],
    after: Iterable[DataFile],
    chunks: tuple[Iterable[Descriptor], Iterable[Descriptor]] | None = None,
) -> Difference:
    """From the files of two data sets; ``chunks`` of both where both are kept here, else whole files count."""
    before, after = tuple(before), tuple(after)
    old, new = {one.name: one for one in before}, {one.name: one for one in after}
    both = sorted(old.keys() & new.keys())
    # The mode too: a script that became executable is another input.
    differs = [name for name in both if (old[name].digest, old[name].executable) != _told(new[name])]
    return Difference(
        added=tuple(FileChange(name, None, new[name].size) for name in sorted(new.keys() - old.keys())),
        removed=tuple(FileChange(name, old[name].size, None) for name in sorted(old.keys() - new.keys())),
        changed=tuple(FileChange(name, old[name].size, new[name].size) for name in differs),
        unchanged=len(both) - len(differs),
        new_bytes=_new(*chunks) if chunks is not None else _new(before, after),
    )


def _told(file: DataFile) -> tuple[str, bool]:
    return file.digest, file.executable


def _new(before: Iterable[DataFile | Descriptor], after: Iterable[DataFile | Descriptor]) -> int:
    known = {one.digest for one in before}
    return sum({one.digest: one.size for one in after if one.digest not in known}.values())
