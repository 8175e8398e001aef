"""Arrays in memory that two processes share: one writes, the other reads them where they lie.

A block is what one message refers to. Its reader gets arrays that are views of the shared memory, and the block is
released when the last of them is gone, not when the call is over: a predictor that keeps its input for later, or a log
that keeps an output, must never see the bytes of another request.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from msgspec import Struct

from shipway.runtime.server.calls import Array
from shipway.runtime.server.engine.processes.spans import GRAIN, Spans, rounded

_AT_FIRST = 16 * 2**20  # address space: pages that were never written take no memory
_SMALL = 8192  # bytes that a message carries itself: managing a block costs more than copying them twice
_TEXT = "text"
_encode = msgspec.msgpack.encode
_texts = msgspec.msgpack.Decoder(list[Any])  # str and bytes, each as it was


class Slot(Struct, frozen=True, array_like=True):
    """One array in a block, ``at`` bytes from its start. ``dtype`` is NumPy's (byte order included), or text."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    at: int
    size: int


class Block(Struct, frozen=True, array_like=True):
    """Where in the arena the arrays of one message lie; small ones lie in ``body``."""

    start: int
    size: int
    slots: tuple[Slot, ...]
    body: bytes | None = None


class Writer:
    """The side that decides where arrays go."""

    def __init__(self, fd: int, size: int = _AT_FIRST) -> None:
        os.ftruncate(fd, size)
        self._fd = fd
        self._memory = mmap.mmap(fd, size)
        self._spans = Spans(size)

    def place(self, pieces: Sequence[Mapping[str, Array]]) -> tuple[Block, Callable[[], None]]:
        """Room for arrays, and what copies them there, in any thread. Where there are several pieces, their arrays are
        put one below the other.

        Raises UnicodeEncodeError and TypeError for objects that are no text, OSError where the arena cannot grow.
        """
        slots, sources, end = [], [], 0
        for name, first in pieces[0].items():
            arrays = [first, *(piece[name] for piece in pieces[1:])]
            shape = first.shape if len(arrays) == 1 else (sum(map(len, arrays)), *first.shape[1:])
            dtype, size = first.dtype.str, first.itemsize * math.prod(shape)
            if first.dtype.hasobject:
                texts = _encode([text for array in arrays for text in array.ravel().tolist()])
                arrays, dtype, size = [np.frombuffer(texts, np.uint8)], _TEXT, len(texts)
            slots.append(Slot(name, dtype, shape, end, size))
            sources.append(arrays)
            end += rounded(size)
        size = max(end, GRAIN)
        memory: mmap.mmap | bytearray
        if size <= _SMALL:
            start, memory = 0, bytearray(size)
            block = Block(start, size, tuple(slots), cast(bytes, memory))
        else:
            start, memory = self._take(size), self._memory
            block = Block(start, size, tuple(slots))

        def copy() -> None:
            for slot, arrays in zip(slots, sources, strict=True):
                if slot.dtype == _TEXT or len(arrays) == 1:
                    only = arrays[0]
                    np.ndarray(only.shape, only.dtype, memory, start + slot.at)[...] = only
                else:
                    np.concatenate(arrays, out=np.ndarray(slot.shape, slot.dtype, memory, start + slot.at))

        return block, copy

    def write(self, arrays: Mapping[str, Array]) -> Block:
        """Copy arrays in. Raises as :meth:`place`."""
        block, copy = self.place([arrays])
        copy()
        return block

    def released(self, starts: Sequence[int]) -> None:
        """The reader has no array of these blocks any more."""
        for start in starts:
            self._spans.give(start)

    def trim(self) -> None:
        """Give memory that holds nothing now back to the system."""
        start = -(-self._spans.end // mmap.PAGESIZE) * mmap.PAGESIZE
        if start < self._spans.size:
            self._memory.madvise(mmap.MADV_REMOVE, start, self._spans.size - start)

    def _take(self, size: int) -> int:
        start = self._spans.take(size)
        if start is None:
            wanted = -(-2 * max(self._spans.size, size) // mmap.PAGESIZE) * mmap.PAGESIZE
            os.ftruncate(self._fd, wanted)
            self._memory = mmap.mmap(self._fd, wanted)  # the one before lives as long as arrays on it
            self._spans.grow(wanted)
            start = self._spans.take(size)
            assert start is not None, "it grew by at least what is asked"
        return start


class Reader:
    """The side that looks. Its arrays are read-only."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._memory: mmap.mmap | None = None
        self._watched: dict[int, _Watch] = {}
        self._released: list[int] = []

    def read(self, block: Block) -> dict[str, Array]:
        """The arrays. Text is copied, numbers are views."""
        if block.body is not None:
            return {slot.name: _array(block.body, slot) for slot in block.slots}
        if self._memory is None or block.start + block.size > len(self._memory):
            self._memory = mmap.mmap(self._fd, os.fstat(self._fd).st_size, prot=mmap.PROT_READ)
        whole = np.frombuffer(self._memory, np.uint8, block.size, block.start)
        watch = self._watched[block.start] = _Watch(whole, self._gone)
        watch.start = block.start
        return {slot.name: _array(whole, slot) for slot in block.slots}

    def released(self) -> list[int]:
        """Blocks whose arrays are all gone since the last time that it was asked."""
        if not self._released:
            return []
        released, self._released = self._released, []
        return released

    def _gone(self, watch: weakref.ref[Array]) -> None:
        assert isinstance(watch, _Watch)
        del self._watched[watch.start]
        self._released.append(watch.start)


class _Watch(weakref.ref[Array]):
    """Tells when the array that all arrays of a block are views of is gone."""

    __slots__ = ("start",)

    start: int


def _array(whole: Array | bytes, slot: Slot) -> Array:
    if slot.dtype == _TEXT:
        texts = _texts.decode(memoryview(cast(bytes, whole))[slot.at : slot.at + slot.size])
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(slot.shape)
    return np.ndarray(slot.shape, slot.dtype, whole, slot.at)
