"""``index.json`` of a layout: read once for as long as it stays the same, and changed by one at a time.

Source: OCI image-spec v1.1.1, image-layout.md, "index.json file".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import Corrupt
from shipway.oci import disk
from shipway.oci.document import NOT_READABLE
from shipway.oci.index import Index


class Edit:
    """What an :meth:`Layout.edit` block changes: give ``index`` a new value."""

    def __init__(self, index: Index) -> None:
        self.index = index


@dataclass(frozen=True, slots=True)
class _Parsed:
    signature: disk.Signature | None
    data: bytes
    index: Index


class IndexFile:
    """The file. Every method raises Corrupt when it is none, and EnvironmentFault."""

    def __init__(self, path: Path, lock: Path, temporaries: Path) -> None:
        self._path = path
        self._lock = lock
        self._temporaries = temporaries
        self._parsed: _Parsed | None = None  # as it was read last

    def index(self) -> Index:
        """What it holds now: the same object for as long as the file stays the same."""
        now, known = disk.signature(self._path), self._parsed
        return known.index if known is not None and now is not None and known.signature == now else self._read()

    @contextmanager
    def edit(self) -> Iterator[Edit]:
        """Read, decide and change it while nobody else can; written at the end of the block, or not at all."""
        with disk.faults(f"change {self._path}"), disk.locked(self._lock):
            # A file system may give a new file the inode and the time of the one before: here the bytes decide.
            before = self._read()
            edit = Edit(before)
            yield edit
            if edit.index is not before and edit.index != before:
                self.write(edit.index)

    def write(self, index: Index) -> None:
        """Replace it. Only with the lock."""
        data = index.to_bytes()
        disk.write(self._path, data, temporaries=self._temporaries)
        self._parsed = _Parsed(disk.signature(self._path), data, index)

    def _read(self) -> Index:
        # Before the bytes: a file that is replaced in between is read once more, and never taken for the old.
        now, known = disk.signature(self._path), self._parsed
        try:
            with disk.faults(f"read {self._path}", unless=FileNotFoundError):
                data = self._path.read_bytes()
            index = known.index if known is not None and known.data == data else Index.from_bytes(data)
        except FileNotFoundError:
            raise damaged(self._path, "it is missing") from None
        except NOT_READABLE as error:
            raise damaged(self._path, f"it is not an image index ({error!r})") from error
        self._parsed = _Parsed(now, data, index)
        return index


def damaged(path: Path, how: str) -> Corrupt:
    """What to say of a file at the root of a layout that is not what it should be."""
    return Corrupt(
        f"{path} is damaged: {how}",
        next_step=f"Restore the file from a backup, or move {path.parent} away to begin anew.",
    )
