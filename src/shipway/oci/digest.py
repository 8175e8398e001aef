"""Digests: what content is called, and streams that hash what goes through them.

Source: OCI image-spec v1.1.1, descriptor.md, "Digests". Only sha256 is written and read.
"""

from __future__ import annotations

import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from shipway.errors import UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


class Digest(str):
    """``sha256:<64 hex digits>``: a string that cannot hold anything else. Raises UserError."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if not _SHA256.fullmatch(text):
            raise UserError(f"{text!r} is not a digest: it looks like sha256:<64 hex digits in lower case>")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The digest of bytes in memory."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @staticmethod
    def is_hex(text: str) -> bool:
        """Whether it is the name of a blob's file."""
        return _SHA256.fullmatch(f"sha256:{text}") is not None

    @property
    def hex(self) -> str:
        """The 64 digits: the name of a blob's file."""
        return self.removeprefix("sha256:")


class Sink(Protocol):
    """What content is written to, a file or a cipher's writer."""

    def write(self, data: bytes, /) -> object: ...


def copy(source: BinaryIO, target: Sink) -> tuple[Digest, int]:
    """Copy to the end, a chunk at a time; the digest and the number of bytes that were copied."""
    hasher, size = hashlib.sha256(), 0
    chunk = source.read(CHUNK)
    if len(chunk) < CHUNK:  # most files are small: a thread costs more than their digest
        while chunk:
            hasher.update(chunk)
            target.write(chunk)
            size += len(chunk)
            chunk = source.read(CHUNK)
        return Digest("sha256:" + hasher.hexdigest()), size
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as beside:
        hashed = beside.submit(hasher.update, b"")
        while chunk:
            hashed.result()
            hashed = beside.submit(hasher.update, chunk)
            target.write(chunk)
            size += len(chunk)
            chunk = source.read(CHUNK)
        hashed.result()
    return Digest("sha256:" + hasher.hexdigest()), size


class HashingReader(io.RawIOBase):
    """Reads from a file and hashes what was read."""

    def __init__(self, source: io.RawIOBase | io.BufferedReader) -> None:
        super().__init__()
        self._source = source
        self._hasher = hashlib.sha256()
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = self._source.readinto(buffer) or 0
        self._hasher.update(memoryview(buffer)[:count])
        self._size += count
        return count

    def finish(self) -> tuple[Digest, int]:
        """Read what is left; digest and size of the whole."""
        while self.read(CHUNK):
            pass
        return Digest("sha256:" + self._hasher.hexdigest()), self._size
