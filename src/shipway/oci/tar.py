"""Tar archives in streams, a member at a time: read with limits, for anybody may have written them; written the same
on every machine.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format"; GNU tar's long names (type ``L``)
and base-256 numbers. Python's tarfile is not used for reading: it holds extension headers in memory whatever size they
claim, recurses into chains of them, and collects sparse maps, all before its caller can refuse.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from shipway.errors import Corrupt, Refused
from shipway.oci.digest import CHUNK

BLOCK = 512
END = bytes(2 * BLOCK)

_FILES = (b"0", b"\0")
_KINDS = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "folder",
    b"6": "fifo",
    b"S": "sparse file",
}
_DIGITS = re.compile(rb"[0-9]{1,19}")
_LAST = (1 << 63) - 1


class Readable(Protocol):
    """Where bytes come from: ``b""`` is the end, fewer than were asked for are none."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may ask of this machine. Nobody who packs models gets near the defaults."""

    members: int = 200_000  # files, folders and extension headers
    name: int = 2_048  # bytes of a name with its folders; 255 of each part
    header: int = 1 << 20  # bytes of an extension header (PAX, GNU), which is held in memory
    expanded: int = 1 << 44  # bytes of all files, 16 TiB
    ratio: int = 200  # bytes that come out of a compressed layer for each that went in...
    free: int = 64 << 20  # ... after these: text and zeros are few bytes and shrink a lot
    window: int = 1 << 27  # bytes of memory that a zstd frame may ask for


@dataclass(frozen=True, slots=True)
class Member:
    """One member. ``kind`` is file, folder, or in words what else it is; ``target`` is that of a link."""

    name: str
    kind: str
    size: int  # bytes of content
    executable: bool
    target: str = ""


class Content:
    """The content of the member that was read last."""

    def __init__(self, stream: _Stream, size: int) -> None:
        self._stream = stream
        self.left = size

    def read(self, size: int = CHUNK) -> bytes:
        """At most ``size`` bytes, ``b""`` at the end. Raises Corrupt when the archive ends before."""
        data = self._stream.some(min(size, self.left, CHUNK)) if self.left else b""
        self.left -= len(data)
        return data


def members(source: Readable, limits: Limits) -> Iterator[tuple[Member, Content]]:
    """The members in the archive's order; what the caller does not read of one is passed over.

    Names are as they stand there: who writes them to a disk checks them. Raises Refused for what is over a limit,
    Corrupt for what is no whole tar.
    """
    stream, extended, count = _Stream(source), _Extended(limits), 0
    while (block := stream.exactly(BLOCK)) != bytes(BLOCK):
        count += 1
        if count > limits.members:
            raise Refused(f"the archive has more than {limits.members} members", next_step=_DISTRUST)
        _check_sum(block)
        size = _number(block[124:136], "size")
        if extended.takes(block[156:157]):
            extended.take(block[156:157], size, stream)
            continue
        member = extended.applied_to(block, size)
        content = Content(stream, member.size)
        yield member, content
        while content.read():
            pass
        stream.exactly(-member.size % BLOCK)
        extended = _Extended(limits)


def header(
    name: str,
    size: int,
    *,
    executable: bool = False,
    folder: bool = False,
    target: str = "",
    owner: tuple[int, int] = (0, 0),
    mode: int | None = None,
) -> bytes:
    """The header of a file or folder, or of a symbolic link where there is a ``target``, with a PAX header where a name
    or number needs one. Time is constant, and so are ``owner`` (uid, gid) and ``mode`` where nothing else is said:
    equal files are equal bytes on every machine."""
    one = tarfile.TarInfo(name)
    one.size, one.mode = size, 0o755 if executable or folder else 0o644
    one.uid, one.gid = owner
    if folder:
        one.type, one.name = tarfile.DIRTYPE, f"{name}/"
    if mode is not None:
        one.mode = mode
    if target:
        one.type, one.linkname, one.mode = tarfile.SYMTYPE, target, 0o777
    return one.tobuf(tarfile.PAX_FORMAT)


def padding(size: int) -> bytes:
    """What follows a content of that size."""
    return bytes(-size % BLOCK)


_DISTRUST = "Do not trust its source; or unpack it yourself and import the folder."


class _Extended:
    """What extension headers said of the member that follows them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._said: dict[str, str] = {}

    def takes(self, flag: bytes) -> bool:
        return flag in (b"x", b"X", b"g", b"L", b"K")

    def take(self, flag: bytes, size: int, stream: _Stream) -> None:
        if size > self._limits.header:
            what = f"an extension header of {size} bytes, allowed are {self._limits.header}"
            raise Refused(f"the archive has {what}", next_step=_DISTRUST)
        data = stream.exactly(size)
        stream.exactly(-size % BLOCK)
        if flag in (b"L", b"K"):
            self._said["path" if flag == b"L" else "linkpath"] = _text(data.partition(b"\0")[0])
            return
        said = _records(data)
        if flag != b"g":
            self._said.update(said)
        elif said.keys() & {"path", "linkpath", "size"} or any(key.startswith("GNU.sparse") for key in said):
            raise Refused("the archive has a name or size for all members at once", next_step=_DISTRUST)

    def applied_to(self, block: bytes, size: int) -> Member:
        flag, mode = block[156:157], _number(block[100:108], "mode")
        name = self._said.get("path") or _name(block)
        if "size" in self._said:
            size = _number(self._said["size"].encode(), "size", base=10)
        kind = "file" if flag in _FILES else _KINDS.get(flag, f"member of type {flag!r}")
        if any(key.startswith("GNU.sparse") for key in self._said):
            kind = "sparse file"
        if kind == "file" and name.endswith("/"):  # how tar said it before there was a type for folders
            kind = "folder"
        if len(name.encode()) > self._limits.name:
            raise Refused(f"the archive has a name of more than {self._limits.name} bytes: {name[:80]!r}...")
        holds = kind in ("file", "sparse file") or flag not in _KINDS
        links = kind in ("hard link", "symbolic link")
        target = (self._said.get("linkpath") or _text(block[157:257].partition(b"\0")[0])) if links else ""
        return Member(name, kind, size if holds else 0, bool(mode & 0o100), target)


class _Stream:
    """Reads whole blocks, or says that the archive is not whole."""

    def __init__(self, source: Readable) -> None:
        self._source = source

    def some(self, most: int) -> bytes:
        data = self._source.read(most)
        if not data:
            raise Corrupt("the stream is not a whole tar: it ends too early")
        return data

    def exactly(self, size: int) -> bytes:
        parts = []
        while size:
            parts.append(self.some(size))
            size -= len(parts[-1])
        return b"".join(parts)


def _check_sum(block: bytes) -> None:
    expected = _number(block[148:156], "checksum")
    fields = block[:148] + b" " * 8 + block[156:]
    # Some old tars summed signed characters.
    if expected not in (sum(fields), sum(fields) - 256 * sum(byte > 127 for byte in fields)):
        raise Corrupt("the stream is not a whole tar: the checksum of a header is wrong")


def _number(field: bytes, what: str, *, base: int = 8) -> int:
    if field[:1] == b"\x80":  # GNU: base 256
        value = int.from_bytes(field[1:], "big")
    else:
        digits = field.rstrip(b" \0").lstrip(b" ") or b"0"
        try:
            value = int(digits, base) if _DIGITS.fullmatch(digits) else -1
        except ValueError:
            value = -1
    if not 0 <= value <= _LAST:
        raise Corrupt(f"the stream is not a whole tar: {field!r} is no {what}")
    return value


def _name(block: bytes) -> str:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused(f"the archive has a name that is not UTF-8: {data[:80]!r}") from None


def _records(data: bytes) -> Mapping[str, str]:
    """The records of a PAX header: ``"%d %s=%s\\n" % (length, key, value)``."""
    found, at = {}, 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space] if space > at else b""
        end = at + int(length) if _DIGITS.fullmatch(length) else at
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end <= space or end > len(data) or data[end - 1 : end] != b"\n" or not equals:
            raise Corrupt("the stream is not a whole tar: an extension header is malformed")
        found[_text(key)] = _text(value) if key in (b"path", b"linkpath", b"size") else ""
        at = end
    return found
