"""Layers as files: decompressed in a stream, and written below one folder or not at all.

What comes from a registry may have been written by anybody. Stricter than tarfile's data filter (PEP 706): a layer of
files holds files and folders. Links are Refused too, those that stay inside as well: without links no name can lead
anywhere else, so nothing has to be resolved and no order of members matters.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from shipway.errors import Corrupt, Refused
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Content, Limits, Member, Readable, members

LIMITS = Limits()

_LONGEST_PART = 255  # bytes; what file systems take
_DISTRUST = "Do not trust its source."
_BROKEN = (zstandard.ZstdError, zlib.error, gzip.BadGzipFile, EOFError)


def is_tar(media_type: str) -> bool:
    """Whether :func:`files` can read layers of that type."""
    return media_type.endswith((".tar", ".tar+gzip", ".tar+zstd", ".tar.gzip"))


def decompressed(source: Readable, media_type: str, limits: Limits = LIMITS) -> Readable:
    """The tar in a layer of that media type, by its end: ``.tar``, ``.tar+gzip`` or ``.tar+zstd``. Reading it raises
    Refused when it expands too much and Corrupt when it is not whole."""
    if media_type.endswith(".tar"):
        return source
    counted = _Counted(source)
    if media_type.endswith(("+gzip", ".gzip")):
        return _Expanding(gzip.GzipFile(fileobj=cast("BinaryIO", counted), mode="rb"), counted, limits)
    decompressor = zstandard.ZstdDecompressor(max_window_size=limits.window)
    reader = decompressor.stream_reader(cast("BinaryIO", counted), read_across_frames=True)
    return _Expanding(reader, counted, limits)


def files(source: Readable, media_type: str, limits: Limits = LIMITS) -> Iterator[tuple[Member, Content]]:
    """The files of a layer, their names checked; folders are passed over. Raises Refused or Corrupt."""
    for member, content in _checked(source, media_type, limits):
        if member.kind == "file":
            yield member, content


def extract(source: Readable, media_type: str, into: Path, limits: Limits = LIMITS) -> None:
    """Write the files and folders of a layer below ``into``; the files are their owner's only.

    Raises Refused, with the member's name, for links, devices, fifos and sparse files, names that leave the folder,
    names that come twice or are a file and a folder, and whatever is over a limit; Corrupt for what is no whole tar.
    An OSError of the disk passes through.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    folders = Folders(into, limits)
    for member, content in _checked(source, media_type, limits):
        if member.kind == "folder":
            folders.make(member.name)
            continue
        write(content, folders.of(member.name), executable=member.executable)


def write(content: Readable, target: Path, *, executable: bool) -> None:
    """Write one new file. Raises Refused when there is one of that name."""
    try:
        out = target.open("xb")
    except (FileExistsError, IsADirectoryError):
        raise _twice(target.name) from None
    with out:
        while data := content.read(CHUNK):
            out.write(data)
    target.chmod(0o700 if executable else 0o600)


def checked_name(name: str) -> str:
    """A name from an archive, normalised, or Refused when it would leave the folder. ``""`` is the folder itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Refused(f"the archive holds {name!r}, which leaves the folder", next_step=_DISTRUST)
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise Refused(f"the archive holds a name with a part of more than {_LONGEST_PART} bytes: {name[:80]!r}...")
    return "/".join(parts)


class Folders:
    """Makes the folders that names need, and counts them: a deep name is many."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self._root = root
        self._left = limits.members

    def of(self, name: str) -> Path:
        """Where the file goes."""
        folder, _, base = name.rpartition("/")
        return self._made(folder, name) / base

    def make(self, name: str) -> None:
        """A folder that is a member itself."""
        self._made(name, name)

    def _made(self, folder: str, name: str) -> Path:
        if (target := self._root / folder).is_dir():
            return target
        made = self._root
        for part in folder.split("/"):
            made = made / part
            try:
                made.mkdir(0o700)
            except FileExistsError:
                continue  # a file there is found by the next step
            except NotADirectoryError:
                raise _twice(name) from None
            self._left -= 1
            if self._left < 0:
                raise Refused(f"the archive makes too many folders, the last is {name!r}", next_step=_DISTRUST)
        if not made.is_dir():
            raise _twice(name)
        return made


def _checked(source: Readable, media_type: str, limits: Limits) -> Iterator[tuple[Member, Content]]:
    expanded = 0
    for member, content in members(decompressed(source, media_type, limits), limits):
        name = checked_name(member.name)
        if member.kind not in ("file", "folder") or (member.kind == "file" and not name):
            what = f"{member.name!r}, a {member.kind}: only files and folders are unpacked"
            raise Refused(f"the archive holds {what}", next_step=_DISTRUST)
        expanded += member.size
        if expanded > limits.expanded:
            raise Refused(
                f"the archive expands to more than {limits.expanded} bytes with {member.name!r} ({member.size} bytes)",
                next_step=_DISTRUST,
            )
        yield Member(name, member.kind, member.size, member.executable), content


def _twice(name: str) -> Refused:
    return Refused(f"the archive holds {name!r} twice, or as file and folder", next_step=_DISTRUST)


class _Counted:
    """Counts what a decompressor took."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._source.read(min(size, CHUNK) if size >= 0 else CHUNK)
        self.size += len(data)
        return data


class _Expanding:
    """What a decompressor gives, as long as it is no bomb."""

    def __init__(self, inner: Readable, taken: _Counted, limits: Limits) -> None:
        self._inner = inner
        self._taken = taken
        self._limits = limits
        self._given = 0

    def read(self, size: int, /) -> bytes:
        try:
            data = self._inner.read(min(size, CHUNK))
        except _BROKEN as error:
            raise Corrupt(f"the layer cannot be decompressed: {error}") from error
        self._given += len(data)
        if self._given > self._limits.free + self._limits.ratio * self._taken.size:
            raise Refused(
                f"the layer expands to more than {self._limits.ratio} times its size ({self._given} bytes of "
                f"{self._taken.size})",
                next_step=_DISTRUST,
            )
        return data
