"""A folder as an artifact that is never written: its layers are made of the files anew whenever they are read.

A copy would take the node's disk a second time, for gigabytes of weights that are read once. What a layer holds is
decided by :mod:`shipway.models.layers`, so its blobs are those that packing the folder makes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from shipway.errors import Corrupt
from shipway.models import layers, outputs
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, tar
from shipway.oci import digest as digests
from shipway.oci.digest import CHUNK
from shipway.oci.manifest import MANIFEST_TYPE
from shipway.snapshot import SnapshotFile, walk
from shipway.transfer import Report, silent

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Output:
    """An output folder that was read once: an ``Outgoing`` of ``oci.registry``. The folder must stay as it is."""

    root: Descriptor
    _small: Mapping[Digest, bytes]
    _files: Mapping[Digest, tuple[SnapshotFile, ...]]

    @classmethod
    def of(cls, folder: Path, report: Report = silent) -> Self | None:
        """Read all files and name them; None without a file. Raises UserError for a file that cannot be read, that
        changes meanwhile or whose name no image can hold, and for a link that leaves the folder."""
        files = tuple(walk(folder))
        if not files:
            return None
        written = layers.write(files, "tar", _hashed, report)
        groups = layers.grouped(files, {one.name: one.path.stat().st_size for one in files})
        data = outputs.manifest(written.layers).to_bytes()
        root = Descriptor(MANIFEST_TYPE, Digest.of(data), len(data), artifact_type=outputs.ARTIFACT_TYPE)
        return cls(
            root,
            {root.digest: data, EMPTY_CONFIG.digest: EMPTY_CONFIG_BYTES},
            {one.descriptor.digest: group.files for one, group in zip(written.layers, groups, strict=True)},
        )

    def index(self) -> Index:
        """Nothing is known of other repositories."""
        return Index()

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """See ``Outgoing``."""
        if descriptor.digest in self._small:
            return self._small[descriptor.digest]
        with self.open_blob(descriptor) as stream:
            return stream.read()

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """See ``Outgoing``."""
        with self.open_unverified(descriptor) as raw:
            reader = digests.HashingReader(cast("io.RawIOBase", raw))
            yield io.BufferedReader(reader, CHUNK)
            if reader.finish() != (descriptor.digest, descriptor.size):
                raise _changed(descriptor)

    @contextmanager
    def open_unverified(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """See ``Outgoing``."""
        yield cast("BinaryIO", _Tar(self._files[descriptor.digest]))


class _Tar(io.RawIOBase):
    """A tar of files that is made while it is read."""

    def __init__(self, files: Sequence[SnapshotFile]) -> None:
        super().__init__()
        self._files = files
        self._pieces = self._from(0)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seek(self, start: int, whence: int = io.SEEK_SET, /) -> int:
        """Only from its beginning."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a tar that is made while it is read has no known end")
        self._pieces, self._rest = self._from(start), memoryview(b"")
        return start

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill all of it, but at the end: a piece may be no more than a header."""
        wanted = memoryview(buffer).cast("B")
        at = 0
        while at < len(wanted):
            if not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._rest = memoryview(piece)
            count = min(len(self._rest), len(wanted) - at)
            wanted[at : at + count] = self._rest[:count]
            self._rest = self._rest[count:]
            at += count
        return at

    def _from(self, start: int) -> Iterator[bytes]:
        """Its bytes from there on: of a file that ends before, nothing is read."""
        folders: set[str] = set()
        at = 0
        for file in self._files:
            size = file.path.stat().st_size
            head = layers.head_of(file, size, folders)
            yield head[max(0, start - at) :]
            at += len(head)
            if start < at + size:
                yield from _content(file, size, max(0, start - at))
            at += size
            padding = tar.padding(size)
            yield padding[max(0, start - at) :]
            at += len(padding)
        yield tar.END[max(0, start - at) :]


def _content(file: SnapshotFile, size: int, start: int) -> Iterator[bytes]:
    left = size - start
    with file.path.open("rb") as content:
        content.seek(start)
        while left and (piece := content.read(min(left, CHUNK))):
            left -= len(piece)
            yield piece
    if left:
        raise Corrupt(f"{file.path} became shorter while it was sent", next_step="Do not write to the output any more.")


class _Nowhere:
    def write(self, data: bytes, /) -> None: ...


def _hashed(stream: BinaryIO, media_type: str) -> Descriptor:
    return Descriptor(media_type, *digests.copy(stream, _Nowhere()))


def _changed(descriptor: Descriptor) -> Corrupt:
    return Corrupt(
        f"the output changed while it was sent: the layer {descriptor.digest} is another one now",
        next_step="End everything that writes to $SHIPWAY_OUTPUT_DIR before the command ends.",
    )
