"""From a folder's files to layers: which files share one, and each as a deterministic tar, streamed into the layout.

A file has a layer of its own, so that what did not change is one blob for all versions and travels once. Overlay mounts
end that at some number: containerd and Docker take about 120 layers. So, when there are more than :data:`OWN` files,
those below :data:`LARGE` share a layer for each kind, and larger ones share too when they are more than :data:`MOST`.
The rule looks at names and sizes alone: equal folders are equal layers, and an edited file stays where it was.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO, cast

import zstandard

from shipway import formats
from shipway.errors import UserError
from shipway.models import modelpack, signatures
from shipway.models.modelpack import Form, Layer
from shipway.oci import Descriptor, Digest, tar
from shipway.oci.digest import CHUNK
from shipway.snapshot import SnapshotFile
from shipway.transfer import Progress, Report, silent

OWN = 60  # files, up to which each has a layer
LARGE = 1 << 20  # bytes, from which a file has a layer also among many
MOST = 100  # layers of large files
MOST_RAW = 4_000  # files of one ``raw`` artifact: registries take manifests of 4 MB
ZSTD_LEVEL = 3

Put = Callable[[BinaryIO, str], Descriptor]  # stores a stream as a blob of that media type

_ENDINGS = {"tar": ".tar", "tar+zstd": ".tar.zst"}
_WHITEOUT = ".wh."  # an image layer says with such a name that a file is gone (OCI image-spec, layer.md, "Whiteouts")


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one layer, sorted by name, and what they are for."""

    kind: str
    files: tuple[SnapshotFile, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The layers of a folder, and how its files begin: enough to know the format, and all of a signature."""

    layers: tuple[Layer, ...]
    heads: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is kept and told of files while they are read."""

    heads: dict[str, bytes]
    report: Report


def grouped(files: Sequence[SnapshotFile], sizes: Mapping[str, int]) -> tuple[Group, ...]:
    """Which files share a layer, by the rule above; ``sizes`` in bytes, by name. Pure. Sorted by first names."""
    if len(files) <= OWN:
        return tuple(Group(modelpack.kind_of(one.name), (one,)) for one in sorted(files, key=_name))
    few = sum(sizes[one.name] >= LARGE for one in files) <= MOST
    shared: defaultdict[tuple[str, str | int], list[SnapshotFile]] = defaultdict(list)
    for one in files:
        if sizes[one.name] < LARGE:
            shared["small", modelpack.kind_of(one.name)].append(one)
        else:
            shared["large", one.name if few else _bucket(one.name)].append(one)
    groups = (Group(_kind_of_all(some), tuple(sorted(some, key=_name))) for some in shared.values())
    return tuple(sorted(groups, key=lambda one: one.files[0].name))


def write(files: Sequence[SnapshotFile], form: Form, put: Put, report: Report = silent) -> Written:
    """Store the files as layers; nothing is held in memory but a chunk, and nothing is written twice.

    Raises UserError for a file that cannot be read, that changes meanwhile, or whose name no image can hold.
    """
    reading = _Reading(heads={}, report=report)
    if form == "raw":
        _check_count(files)
        raw = tuple(_raw(one, put, reading) for one in sorted(files, key=_name))
        return Written(raw, reading.heads)
    for file in files:
        _check_name(file.name)
    groups = grouped(files, {one.name: _size(one) for one in files})
    return Written(tuple(_tar(one, form, put, reading) for one in groups), reading.heads)


def _raw(file: SnapshotFile, put: Put, reading: _Reading) -> Layer:
    kind = modelpack.kind_of(file.name)
    with _opened(file) as (content, size):
        blob = put(_Stream(_content(file, content, size, reading)).as_file(), modelpack.media_type(kind, "raw"))
    said = modelpack.of_file(file.name, blob.size, executable=file.executable)
    return Layer(blob.annotated({**said, modelpack.TITLE: file.name}), blob.digest)


def _tar(group: Group, form: Form, put: Put, reading: _Reading) -> Layer:
    sizes: dict[str, int] = {}
    plain, hasher = _pieces(group.files, sizes, reading), hashlib.sha256()
    pieces = _compressed(plain, hasher.update) if form == "tar+zstd" else plain
    blob = put(_Stream(pieces).as_file(), modelpack.media_type(group.kind, form))
    diff_id = Digest(f"sha256:{hasher.hexdigest()}") if form == "tar+zstd" else blob.digest
    said = {**_said(group.files, sizes), modelpack.TITLE: f"{group.files[0].name}{_ENDINGS[form]}"}
    return Layer(blob.annotated(said), diff_id)


def _said(files: Sequence[SnapshotFile], sizes: Mapping[str, int]) -> dict[str, str]:
    if len(files) > 1:
        return modelpack.of_files([one.name for one in files], sum(sizes.values()))
    [file] = files
    return modelpack.of_file(file.name, sizes[file.name], executable=file.executable)


def _pieces(files: Iterable[SnapshotFile], sizes: dict[str, int], reading: _Reading) -> Iterator[bytes]:
    """The bytes of a tar. Folders are members too: some runtimes give those that no layer names the mode 0600, and
    nobody but root could look into them."""
    folders: set[str] = set()
    at = 0
    for file in files:
        with _opened(file) as (content, size):
            sizes[file.name] = size
            head = head_of(file, size, folders)
            yield head
            yield from _content(file, content, size, reading, at=at + len(head))
            yield tar.padding(size)
            at += len(head) + size + len(tar.padding(size))
    yield tar.END


def head_of(file: SnapshotFile, size: int, folders: set[str]) -> bytes:
    """What stands before a file's content in a tar: the folders above it that are not yet in ``folders``, and it."""
    above = [one.as_posix() for one in reversed(PurePosixPath(file.name).parents[:-1])]
    new = [one for one in above if one not in folders]
    folders.update(new)
    headers = [tar.header(one, 0, folder=True) for one in new]
    return b"".join((*headers, tar.header(file.name, size, executable=file.executable)))


def _content(file: SnapshotFile, content: BinaryIO, size: int, reading: _Reading, *, at: int = 0) -> Iterator[bytes]:
    """Exactly ``size`` bytes of a file; how it begins is kept. ``at`` is where they come in the stream: pieces end
    where its chunks do, so that most are passed on as they are."""
    left = size
    kept, wanted = b"", signatures.LARGEST + 1 if file.name == signatures.FILE else formats.HEAD
    while left:
        piece = _read(file, content, min(left, CHUNK - (at + size - left) % CHUNK))
        if not piece:
            break
        if len(kept) < wanted:
            kept += piece[: wanted - len(kept)]
        left -= len(piece)
        reading.report(Progress(file.name, size - left, size))
        yield piece
    reading.heads[file.name] = kept
    if left or _read(file, content, 1):
        raise UserError(f"{file.path} changed while it was read", next_step="Run the command again.")


def _compressed(pieces: Iterable[bytes], seen: Callable[[bytes], None]) -> Iterator[bytes]:
    # One thread: with several the frames depend on who was faster.
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
    for piece in pieces:
        seen(piece)
        yield compressor.compress(piece)
    yield compressor.flush()


@contextmanager
def _opened(file: SnapshotFile) -> Iterator[tuple[BinaryIO, int]]:
    """A file and its size. Raises UserError when it cannot be read."""
    try:
        content = file.path.open("rb")
    except OSError as error:
        raise _unreadable(file, error) from error
    with content:
        yield content, os.fstat(content.fileno()).st_size


class _Stream:
    """Pieces as something to read from, in chunks of the size that is asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        parts, length = [self._rest] if self._rest else [], len(self._rest)
        while length < size and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            length += len(piece)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._rest = data[size:]
        return data[:size]  # the object itself, where it has that size

    def as_file(self) -> BinaryIO:
        """As the layout's signature has it; reading is all that it does with it."""
        return cast("BinaryIO", self)


def _read(file: SnapshotFile, content: BinaryIO, size: int) -> bytes:
    try:
        return content.read(size)
    except OSError as error:
        raise _unreadable(file, error) from error


def _size(file: SnapshotFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: SnapshotFile, error: OSError) -> UserError:
    return UserError(f"{file.path} cannot be read: {error.strerror}")


def _check_name(name: str) -> None:
    if any(part.startswith(_WHITEOUT) for part in name.split("/")):
        raise UserError(
            f"{name} cannot be a file of an image: a name that begins with {_WHITEOUT} says there that a file is gone",
            next_step="Rename it, or pack with --raw.",
        )


def _check_count(files: Sequence[SnapshotFile]) -> None:
    if len(files) > MOST_RAW:
        raise UserError(
            f"{len(files)} files are too many for raw layers: each is a layer, and a manifest holds {MOST_RAW}",
            next_step="Pack them as tar: small files share a layer then.",
        )


def _kind_of_all(files: Sequence[SnapshotFile]) -> str:
    kinds = {modelpack.kind_of(one.name) for one in files}
    return kinds.pop() if len(kinds) == 1 else "weight"


def _bucket(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % MOST


def _name(file: SnapshotFile) -> str:
    return file.name
