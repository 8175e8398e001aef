"""From entries to a layer in the layout: a deterministic tar, compressed and hashed while it is written.

Nothing is held in memory but some blocks, and nothing is written twice. Source: OCI image-spec v1.1.1, layer.md.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from shipway.errors import Refused, UserError
from shipway.image.layer import Compression, Entry, Layer, PackageFacts
from shipway.image.layers.compress import MEDIA_TYPES, Compressor
from shipway.oci import Digest, Layout, tar
from shipway.oci.digest import CHUNK
from shipway.oci.leases import Lease
from shipway.transfer import Progress, Report, silent

MOST_WORKERS = 4  # more threads than this cost memory, and wait for the disk

_WHITEOUT = ".wh."  # such a name says that a file of the layers below is gone (layer.md, "Whiteouts")


def workers() -> int:
    """Threads that this machine has use for."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


def write(
    entries: Iterable[Entry],
    layout: Layout,
    lease: Lease,
    compression: Compression,
    created_by: str,
    packages: Sequence[PackageFacts] = (),
    *,
    compressor: Compressor | None = None,
    report: Report = silent,
) -> Layer:
    """Store the entries as a layer, held by the lease; ``created_by`` is its line in the image's history.

    The same entries make the same bytes, in whatever order they come; entries that come twice are written once. Give
    the ``compressor`` that other layers are written with at the same time, or the threads are made for this one. What
    is told to ``report`` on the way are bytes of the tar, of a total that is not known before.

    Raises Refused for entries that no layer can hold beside each other, or with a name that it cannot hold; UserError
    for a file that cannot be read or that changes meanwhile; EnvironmentFault when the disk is full.
    """
    if compressor is None:
        with Compressor(workers()) as own:
            return write(entries, layout, lease, compression, created_by, packages, compressor=own, report=report)
    plain = _Read(pieces(arranged(entries)), created_by, report)
    # Closed at once also when the disk is full: others wait for the room that it has in the compressor.
    with closing(compressor.run(plain, compression)) as packed:
        blob = layout.put_blob(_Stream(packed).as_file(), MEDIA_TYPES[compression], lease=lease)
    return Layer(blob, plain.digest(), created_by, tuple(packages))


def with_folders(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries, and the folders that they lie in: some runtimes give those that no layer names the mode 0600, and
    nobody but root could look into them. Pure."""
    given = tuple(entries)
    seen = {entry.name for entry in given}
    above: list[Entry] = []
    for entry in given:
        name = entry.name.rpartition("/")[0]
        while name and name not in seen:
            seen.add(name)
            above.append(Entry(name, "folder"))
            name = name.rpartition("/")[0]
    return (*above, *given)


def arranged(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Sorted, each once. Pure. Raises Refused for two of one name that differ, for something below what is no folder,
    and for names that leave the image or that mean something else in a layer."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.name, entry) != entry:
            raise Refused(f"the layer would hold {entry.name!r} twice, and they differ")
        _check_name(entry.name)
    for name in found:
        above = name
        while above := above.rpartition("/")[0]:
            there = found.get(above)
            if there is not None and there.kind != "folder":
                raise Refused(f"the layer would hold {above!r} as a {there.kind}, and {name!r} below it")
    # A folder comes before what is in it, as its name is how theirs begins.
    return tuple(found[name] for name in sorted(found))


def pieces(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The bytes of a tar, in chunks. Raises UserError as :func:`write` does."""
    for entry in entries:
        match entry.content:
            case Path() as path if entry.kind == "file":
                yield from _file(entry, path)
            case bytes(content) if entry.kind == "file":
                yield _header(entry, len(content)) + content + tar.padding(len(content))
            case _:
                yield _header(entry, 0)
    yield tar.END


def _header(entry: Entry, size: int) -> bytes:
    return tar.header(
        entry.name,
        size,
        executable=entry.executable,
        folder=entry.kind == "folder",
        target=entry.target if entry.kind == "link" else "",
        owner=entry.owner,
        mode=entry.mode,
    )


def _file(entry: Entry, path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            size = left = os.fstat(file.fileno()).st_size
            yield _header(entry, size)
            while left and (piece := file.read(min(left, CHUNK))):
                left -= len(piece)
                yield piece
            changed = left or file.read(1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if changed:
        raise UserError(f"{path} changed while it was read", next_step="Run the command again.")
    yield tar.padding(size)


def _check_name(name: str) -> None:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise Refused(f"{name!r} cannot be a name in an image: it is not in the form usr/lib/name")
    if any(part.startswith(_WHITEOUT) for part in parts):
        raise Refused(
            f"{name!r} cannot be a name in an image: one that begins with {_WHITEOUT} says there that a file is gone",
            next_step="Rename it, or leave it out with .shipwayignore.",
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Refused(f"{name!r} cannot be a name in an image: it is not UTF-8", next_step="Rename it.") from None


class _Read:
    """Pieces as they pass: counted, and their digest."""

    def __init__(self, inner: Iterator[bytes], what: str, report: Report) -> None:
        self._inner, self._what, self._report = inner, what, report
        self._hasher = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._inner:
            self._hasher.update(piece)
            size += len(piece)
            self._report(Progress(self._what, size))
            yield piece

    def digest(self) -> Digest:
        return Digest(f"sha256:{self._hasher.hexdigest()}")


class _Stream:
    """Pieces as something to read from."""

    def __init__(self, inner: Iterator[bytes]) -> None:
        self._inner = inner
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            piece = next(self._inner, None)
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)

    def as_file(self) -> BinaryIO:
        """As the layout's signature has it; reading is all that it does with it."""
        return cast("BinaryIO", self)
