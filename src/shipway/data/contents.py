"""Where the bytes of files come from: a folder, chunks of the layout, an object store (:mod:`shipway.data.stores`)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Protocol, TypeVar

from shipway.data.files import DataFile, Found
from shipway.errors import Conflict, Corrupt, ShipwayError, UserError
from shipway.oci import Descriptor, Digest, Layout
from shipway.snapshot import SnapshotFile

BLOCK = 1 << 20  # bytes
_AT_ONCE = 4  # threads: hashing and writing release the interpreter's lock

F = TypeVar("F", bound=Found)
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Contents(Protocol):
    """Files that can be read."""

    def stream(self, files: Sequence[F]) -> Iterator[tuple[F, bytes]]:
        """The bytes of these files in their order, in blocks; an empty file is one empty block.

        Raises UserError for a file that changed or went, Corrupt, EnvironmentFault.
        """
        ...

    def differs(self, file: DataFile, digest: Digest, size: int) -> ShipwayError:
        """The error for a file whose bytes are not those that were promised."""
        ...


class Folder:
    """Files of this machine, by the names that they have in the data set; ``uri`` when they were named by one."""

    def __init__(self, files: Iterable[SnapshotFile], uri: str = "") -> None:
        self.uri = uri
        self._files = {one.name: one for one in files}

    def found(self) -> tuple[Found, ...]:
        """The files, sorted by name. Raises UserError for one that cannot be looked at."""
        return tuple(
            Found(name=name, size=_status(one.path).st_size, executable=one.executable)
            for name, one in sorted(self._files.items())
        )

    def stream(self, files: Sequence[F]) -> Iterator[tuple[F, bytes]]:
        for file in files:
            if file.name not in self._files:
                raise UserError(
                    f"{file.name} went: it had {file.size} bytes when it was pinned", next_step="Bring it back."
                )
            # Of a pinned file the digest decides, and names what is there now.
            listed = None if isinstance(file, DataFile) else file.size
            yield from ((file, block) for block in _blocks(self._files[file.name].path, listed))

    def differs(self, file: DataFile, digest: Digest, size: int) -> ShipwayError:
        return changed(str(self._files[file.name].path), file, digest, size)


class Chunks:
    """The files of a data set that is kept in the layout: each chunk is verified when it is read."""

    def __init__(self, layout: Layout, files: Sequence[DataFile], chunks: Sequence[Descriptor]) -> None:
        self._layout = layout
        self._chunks = chunks
        starts = accumulate((one.size for one in files), initial=0)
        self._starts = {one.name: start for one, start in zip(files, starts, strict=False)}

    def stream(self, files: Sequence[F]) -> Iterator[tuple[F, bytes]]:
        wanted = [(self._starts[one.name], self._starts[one.name] + one.size) for one in files]
        blocks = self._blocks(wanted)
        offset, block = 0, memoryview(b"")
        for file, (start, end) in zip(files, wanted, strict=True):
            if start == end:
                yield file, b""
            while start < end:
                if start >= offset + len(block):
                    offset, block = next(blocks)
                    continue
                part = block[start - offset : end - offset]
                yield file, bytes(part)
                start += len(part)
        deque(blocks, maxlen=0)  # to the end of the last chunk, where it is verified

    def _blocks(self, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, memoryview]]:
        """The blocks of the chunks that hold these ranges, with where each begins."""
        for offset, chunk in _overlapping(self._chunks, wanted):
            with self._layout.open_blob(chunk) as stream:
                while block := stream.read(BLOCK):
                    yield offset, memoryview(block)
                    offset += len(block)

    def differs(self, file: DataFile, digest: Digest, size: int) -> ShipwayError:
        return Corrupt(
            f"{file.name} is not what the data set's file list says: expected {file.digest}, found {digest}",
            next_step="Whoever made the data set is wrong about it: add or pull it again.",
        )


def changed(where: str, file: DataFile, digest: Digest, size: int) -> Conflict:
    """The error for a pinned file that has other bytes now."""
    return Conflict(
        f"{where} changed since it was pinned: expected {file.size} bytes with {file.digest}, "
        f"found {size} bytes with {digest}",
        next_step="Bring its bytes back, or pin what is there as the next version: shipway data add.",
    )


def in_order(act: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int = _AT_ONCE) -> Iterator[_Result]:
    """``map``, in threads: a few items ahead of what was asked for, and never more."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="data") as pool:
        waiting: deque[Future[_Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(act, item))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _overlapping(chunks: Sequence[Descriptor], wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Descriptor]]:
    """The chunks that hold bytes of these ranges, which are in order, with where each begins."""
    ranges = iter([one for one in wanted if one[0] < one[1]])
    current = next(ranges, None)
    offset = 0
    for chunk in chunks:
        end = offset + chunk.size
        while current is not None and current[1] <= offset:
            current = next(ranges, None)
        if current is None:
            return
        if current[0] < end:
            yield offset, chunk
        offset = end


def _blocks(path: Path, listed: int | None) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            count = 0
            while block := file.read(BLOCK):
                count += len(block)
                if listed is not None and count > listed:
                    break  # somebody may write to it for ever
                yield block
            after = os.fstat(file.fileno())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    if listed not in (None, count) or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UserError(
            f"{path} changed while it was read: {count} bytes were read, it has {after.st_size} now",
            next_step="Wait until nobody writes to it, then run the command again.",
        )
    if not count:
        yield b""


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
