"""Blobs: the files below ``blobs/sha256``. Content goes through the layout's cipher on its way in and out.

OSErrors pass through: the layout says what was being done.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from shipway.oci import digest as digests
from shipway.oci import disk
from shipway.oci.cipher import Cipher
from shipway.oci.digest import Digest


class Draft:
    """Content that is being written: visible to nobody before :meth:`publish`, gone with its writer."""

    def __init__(self, path: Path, file: BinaryIO, blobs: Blobs) -> None:
        self._path = path
        self._file = file
        self._blobs = blobs

    def copy(self, source: BinaryIO) -> tuple[Digest, int]:
        """Write all of a stream; its digest and size."""
        content = self._blobs.cipher.writer(self._file.fileno())
        found = digests.copy(source, content)
        content.finish()
        return found

    def publish(self, digest: Digest) -> None:
        """Make it the blob of that digest, durably; a damaged one is replaced."""
        disk.publish(self._path, self._file, self._blobs.path(digest))


class Blobs:
    """The files of a layout's blobs."""

    def __init__(self, folder: Path, temporaries: Path, cipher: Cipher) -> None:
        self.folder = folder
        self.cipher = cipher
        self._temporaries = temporaries

    def path(self, digest: Digest) -> Path:
        """Where the file is, or would be."""
        return self.folder / digest.hex

    def size(self, digest: Digest) -> int | None:
        """Bytes of the content; None when there is no such blob, or when no content has such a file."""
        try:
            return self.cipher.size(self.path(digest).stat().st_size)
        except FileNotFoundError:
            return None

    @contextmanager
    def open(self, digest: Digest) -> Iterator[io.RawIOBase]:
        """The content, unbuffered, seekable and unverified. Raises FileNotFoundError, Corrupt."""
        path = self.path(digest)
        with path.open("rb", buffering=0) as file:
            yield self.cipher.reader(file.fileno(), path)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Room for new content."""
        with disk.temporary(self._temporaries) as (path, file):
            yield Draft(path, file, self)

    def all(self) -> list[tuple[Digest, int]]:
        """Each blob, and the bytes that its file takes. Files of other names are not ours, and not touched."""
        with os.scandir(self.folder) as entries:
            sizes = (
                (one.name, _size(one))
                for one in entries
                if one.is_file(follow_symlinks=False) and Digest.is_hex(one.name)
            )
            return [(Digest(f"sha256:{name}"), size) for name, size in sizes if size is not None]

    def names(self) -> Set[str]:
        """The digests of all that may be a blob; quicker than :meth:`all`."""
        with os.scandir(self.folder) as entries:
            return {f"sha256:{one.name}" for one in entries}

    def touch(self, digest: Digest) -> bool:
        """Let it count as written now; whether it is there."""
        try:
            os.utime(self.path(digest))
        except FileNotFoundError:
            return False
        return True

    def touched(self, digest: Digest) -> datetime | None:
        """When it was written or touched, in UTC; None when it is not there."""
        try:
            return datetime.fromtimestamp(self.path(digest).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, digest: Digest) -> None:
        """Idempotent."""
        self.path(digest).unlink(missing_ok=True)


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # removed since the folder was read
        return None
