"""A blob on its way from elsewhere: in parts, in any order, resumed after a kill, by one process at a time.

``partial/<hex>`` is a sparse file of the blob's full size; its ``flock`` is the right to fetch this blob.
``partial/<hex>.ranges`` names, a line each, the bytes that were written: a line follows its bytes, so that what it
says survives ``kill -9``. A power cut may lose the bytes and keep the line; then the digest does not agree in the end,
and the partial is thrown away. Nothing is read twice from the disk: a thread hashes behind the writers what is still
in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Container
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from shipway.errors import Corrupt, Refused
from shipway.oci import disk
from shipway.oci.blobs import Blobs
from shipway.oci.cipher import Parts
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import CHUNK, Digest

Range = tuple[int, int]  # from the first byte to the one behind the last

_LINE = re.compile(rb"^([0-9]{1,19}) ([0-9]{1,19})$", re.MULTILINE)


class Fetch:
    """The right to fetch one blob. A context manager: when it ends without :meth:`finish`, what came is kept.

    ``whole``: the blob is there already, and nothing is to be done. Any thread may write, but no two of them the same
    bytes at once.
    """

    def __init__(self, descriptor: Descriptor, partial: Path, file: BinaryIO, blobs: Blobs) -> None:
        self.descriptor = descriptor
        self.whole = blobs.size(descriptor.digest) == descriptor.size
        self._partial = partial
        self._file = file
        self._blobs = blobs
        self._lock = threading.Lock()
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._hash: Future[None] | None = None
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self._closing = False
        self._log = os.open(_ranges_of(partial), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._ranges: tuple[Range, ...] = ()
        try:
            self._parts = self._resume()
        except BaseException:
            os.close(self._log)
            raise

    @property
    def kept(self) -> int:
        """Bytes that are on the disk, of this try and of those before."""
        with self._lock:
            return sum(end - start for start, end in self._ranges)

    def missing(self, longest: int | None = None) -> tuple[Range, ...]:
        """What still has to come, in order: ``(start, end)``, the end not included. ``longest`` cuts it into parts."""
        with self._lock:
            gaps = _without((0, self.descriptor.size), self._ranges)
        step = longest or max(1, self.descriptor.size)
        return tuple((at, min(at + step, end)) for start, end in gaps for at in range(start, end, step))

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Keep bytes of the blob; 1 MiB at once is quick. What is known already is not taken again.

        Raises Refused when they end behind the announced size, and EnvironmentFault when the disk is full.
        """
        end = offset + len(data)
        if end > self.descriptor.size:
            raise Refused(
                f"more bytes come for {self.descriptor.digest} than the {self.descriptor.size} that were announced",
                next_step="Whoever sends them is damaged or lies: nothing of it is used.",
            )
        view = memoryview(data)
        with self._lock:
            new = _without((offset, end), self._ranges)
        with disk.faults(f"write {self._partial}"):
            written = [
                one for start, stop in new for one in self._parts.write(view[start - offset : stop - offset], start)
            ]
            if written:
                os.write(self._log, b"".join(b"%d %d\n" % one for one in written))
        with self._lock:
            self._ranges = _joined([*self._ranges, *written])
            if self._hash is None or self._hash.done():
                self._hash = self._hashing.submit(self._follow)

    def discard(self) -> None:
        """Throw away what came, and begin anew: it was of something else. Nobody may write meanwhile."""
        with suppress(Corrupt):
            self._wait()
        self._hash = None
        with disk.faults(f"write {self._partial}"):
            self._parts = self._clear()

    def finish(self) -> None:
        """Verify size and digest, and make the blob visible, durably.

        Raises Corrupt when bytes are missing (what came is kept), and when they are not those of the digest (it is
        thrown away); EnvironmentFault when the disk is full.
        """
        missing = self.missing()
        if missing:
            left = sum(end - start for start, end in missing)
            raise Corrupt(f"{left} bytes of {self.descriptor.digest} did not come", next_step="Try again: it resumes.")
        try:
            self._wait()
            self._follow()
        except Corrupt:  # of an encrypted partial: bytes were lost that its list says are there
            self.discard()
            raise
        digest = Digest("sha256:" + self._hasher.hexdigest())
        if digest != self.descriptor.digest:
            self.discard()
            raise Corrupt(
                f"the bytes that came do not have the digest {self.descriptor.digest} but {digest}",
                next_step="They were changed on their way, or where they came from: nothing was kept. Try again.",
            )
        with disk.faults(f"write {self._blobs.path(digest)}"):
            disk.publish(self._partial, self._file, self._blobs.path(digest))
        self.whole = True

    def close(self) -> None:
        """Give the right back."""
        self._closing = True  # of gigabytes that were resumed nobody wants the digest now
        self._hashing.shutdown(cancel_futures=True)
        if self.whole or not self._ranges:
            _ranges_of(self._partial).unlink(missing_ok=True)
            self._partial.unlink(missing_ok=True)
        os.close(self._log)
        fcntl.flock(self._file, fcntl.LOCK_UN)  # a child forked meanwhile shares the lock
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _resume(self) -> Parts:
        size, file = self.descriptor.size, self._file.fileno()
        if os.fstat(file).st_size != self._blobs.cipher.stored(size):
            return self._clear()  # new, or of another announcement
        said = [(int(start), int(end)) for start, end in _LINE.findall(_ranges_of(self._partial).read_bytes())]
        self._ranges = _joined([(start, end) for start, end in said if start < end <= size])
        try:
            return self._blobs.cipher.parts(file, self._partial, size)
        except Corrupt:  # begun without a key, or its first bytes were lost
            return self._clear()

    def _clear(self) -> Parts:
        size, file = self.descriptor.size, self._file.fileno()
        os.ftruncate(self._log, 0)  # first: lines without their bytes would be believed
        os.ftruncate(file, 0)
        os.ftruncate(file, self._blobs.cipher.stored(size))
        with self._lock:
            self._ranges, self._hashed, self._hasher = (), 0, hashlib.sha256()
        return self._blobs.cipher.parts(file, self._partial, size)

    def _follow(self) -> None:
        """Hash what has come without a gap. In one thread at a time."""
        content = self._blobs.cipher.reader(self._file.fileno(), self._partial)
        content.seek(self._hashed)
        while not self._closing and (left := self._ready() - self._hashed) > 0:
            data = content.read(min(CHUNK, left))
            if not data:
                raise Corrupt(f"{self._partial} was cut by another program", next_step="Try again.")
            self._hasher.update(data)
            self._hashed += len(data)

    def _ready(self) -> int:
        with self._lock:
            return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 0 else 0

    def _wait(self) -> None:
        if self._hash is not None:
            self._hash.result()


def begin(descriptor: Descriptor, folder: Path, blobs: Blobs) -> Fetch | None:
    """The right to fetch that blob, or None while another has it. OSErrors pass through."""
    partial = folder / descriptor.digest.hex
    while True:
        opened = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = cast("BinaryIO", os.fdopen(opened, "r+b", buffering=0))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(partial, file.fileno()):
                return Fetch(descriptor, partial, file, blobs)
        except BaseException as error:
            file.close()
            if isinstance(error, BlockingIOError):
                return None
            raise
        file.close()  # it was published or swept just now


def sweep(folder: Path, kept: Container[Digest], *, dry: bool = False) -> dict[str, int]:
    """Remove the partials that nobody fetches and nobody holds; their names and bytes on the disk."""
    gone: dict[str, int] = {}
    for partial in sorted(folder.iterdir()):
        if not Digest.is_hex(partial.name) or Digest(f"sha256:{partial.name}") in kept:
            continue
        try:
            file = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # it has just become a blob
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(partial, file):
                continue  # what lies there now is another's
            gone[partial.name] = os.fstat(file).st_blocks * 512
            if not dry:
                _ranges_of(partial).unlink(missing_ok=True)
                partial.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(file)
    return gone


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _ranges_of(partial: Path) -> Path:
    return partial.with_suffix(".ranges")


def _joined(ranges: list[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def _without(whole: Range, ranges: tuple[Range, ...]) -> list[Range]:
    """What of ``whole`` the ranges, which are in order, leave over."""
    at, end = whole
    gaps = []
    for start, stop in ranges:
        if at < min(start, end):
            gaps.append((at, min(start, end)))
        at = max(at, stop)
    return [*gaps, (at, end)] if at < end else gaps
