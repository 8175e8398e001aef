"""Compression in blocks, side by side. The bytes depend on the content alone: not on how many processors there are, nor
on which of them was faster, and so an image has one digest on a laptop and in CI.

zstd's own threads make other bytes than one thread does, and need memory by the level; blocks of our own are bounded,
serve gzip as well, and are shared by all layers that are written at the same time. A zstd layer is a frame for each
block (RFC 8878, section 3.1), a gzip layer is one member, as pigz writes it: each block knows the end of the one before
it and ends on a byte, so that nothing is lost by cutting.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from threading import Semaphore
from types import TracebackType

import zstandard

from shipway.image.layer import Compression

BLOCK = 4 << 20  # bytes that are compressed at a time
ZSTD_LEVEL = 4  # scikit-learn with all that it needs: 60.4 MB in 1.2 CPU-s; 3: 61.2 MB, 1.0 s; 6: 56.6 MB, 3.1 s
GZIP_LEVEL = 6

MEDIA_TYPES: dict[Compression, str] = {
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}

_GZIP_HEAD = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))  # deflate; no name, no time, and the system is unknown
_GZIP_END = bytes((3, 0))  # an empty block that says it is the last
_DICTIONARY = 32 << 10  # bytes back to which deflate looks


def method(compression: Compression) -> str:
    """All that the bytes depend on beside the content, for keys of caches: another version of the library may make
    other bytes of the same tar."""
    if compression == "zstd":
        version = ".".join(str(one) for one in zstandard.ZSTD_VERSION)
        return f"zstd {version} level {ZSTD_LEVEL} block {BLOCK}"
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION} level {GZIP_LEVEL} block {BLOCK}"


class Compressor(AbstractContextManager["Compressor"]):
    """Threads that compress, and a bound on what waits for them. Layers that are written side by side share one."""

    def __init__(self, workers: int) -> None:
        """``workers``: threads. Some 2 * (BLOCK + its compressed form) bytes of memory belong to each."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="compress")
        self._room = Semaphore(2 * workers)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, pieces: Iterable[bytes], compression: Compression) -> Generator[bytes]:
        """The compressed form of all pieces together, in order. Close it when it is not read to its end."""
        blocks = _blocks(pieces)
        if compression == "zstd":
            yield from self._side_by_side(partial(_frame, block) for block in blocks)
            return
        yield _GZIP_HEAD
        end = _GzipEnd()
        yield from self._side_by_side(partial(_deflated, block, end.add(block)) for block in blocks)
        yield _GZIP_END + end.to_bytes()

    def _side_by_side(self, jobs: Iterator[Callable[[], bytes]]) -> Iterator[bytes]:
        running: deque[Future[bytes]] = deque()
        try:
            for job in jobs:
                # Who waits for room holds none: otherwise two layers could wait for each other.
                while not self._room.acquire(blocking=not running):
                    yield self._taken(running)
                running.append(self._pool.submit(job))
            while running:
                yield self._taken(running)
        finally:
            for one in running:
                one.cancel()
                self._room.release()

    def _taken(self, running: deque[Future[bytes]]) -> bytes:
        done = running[0].result()
        running.popleft()
        self._room.release()
        return done


class _GzipEnd:
    """What stands at the end of a gzip member, and what the next block may refer to."""

    def __init__(self) -> None:
        self._check, self._size, self._last = 0, 0, b""

    def add(self, block: bytes) -> bytes:
        before, self._last = self._last, block[-_DICTIONARY:]
        self._check, self._size = zlib.crc32(block, self._check), self._size + len(block)
        return before

    def to_bytes(self) -> bytes:
        return struct.pack("<II", self._check, self._size & 0xFFFFFFFF)


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in pieces:
        block += piece
        while len(block) >= BLOCK:
            yield bytes(block[:BLOCK])
            del block[:BLOCK]
    if block:
        yield bytes(block)


def _frame(block: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compress(block)


def _deflated(block: bytes, before: bytes) -> bytes:
    one = zlib.compressobj(
        GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, before
    )
    return one.compress(block) + one.flush(zlib.Z_SYNC_FLUSH)
