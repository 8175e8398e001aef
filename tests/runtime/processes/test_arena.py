"""Arrays in shared memory, written and read by the two sides in one process."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from shipway.runtime.server.calls import Array
from shipway.runtime.server.engine.processes.arena import Block, Reader, Writer

LONG = 5000  # elements, more than a message carries itself


class Pair:
    """A writer and a reader of one arena."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.writer = Writer(fd, size=2**16)
        self.reader = Reader(fd)

    def carry(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """As the other side sees them."""
        block = msgspec.msgpack.decode(msgspec.msgpack.encode(self.writer.write(arrays)), type=Block)
        return self.reader.read(block)

    @property
    def memory(self) -> int:
        """Bytes that the arena takes."""
        return os.fstat(self.fd).st_blocks * 512


@pytest.fixture
def pair() -> Iterator[Pair]:
    fd = os.memfd_create("test")
    yield Pair(fd)
    os.close(fd)


@pytest.mark.parametrize("length", [3, LONG])
@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">f4", ">i8"])
def test_numbers_come_as_they_are(pair: Pair, dtype: str, length: int) -> None:
    array = np.random.default_rng(0).integers(0, 100, (length, 2)).astype(dtype)
    (seen,) = pair.carry({"x": array}).values()
    assert seen.dtype == array.dtype
    assert seen.shape == array.shape
    assert (seen == array).all()
    assert not seen.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 4), np.float32),
        np.zeros((3, 0), np.int64),
        np.array(7.5),
        np.arange(2 * LONG).reshape(-1, 2)[::2],
        np.arange(2 * LONG).reshape(2, -1).T,
        np.arange(LONG)[::-1],
        np.broadcast_to(np.float32(2.5), (LONG, 3)),
        np.array([np.nan, np.inf, -np.inf, -0.0]),
    ],
    ids=["no rows", "no columns", "no dimension", "strided", "transposed", "backwards", "broadcast", "not finite"],
)
def test_any_form_of_array_will_do(pair: Pair, array: Array) -> None:
    (seen,) = pair.carry({"x": array}).values()
    assert (seen.dtype, seen.shape, seen.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize(
    "texts",
    [[], [""], ["a", "", "b\0c", "naïve", "日本語", "🚢" * 3], [b"\xff\x00", b""], ["a", b"a"], ["ü" * LONG, "x"]],
    ids=["none", "empty", "unicode", "bytes", "both", "long"],
)
def test_text_comes_as_it_is(pair: Pair, texts: list[str | bytes]) -> None:
    array = np.array(texts, object).reshape(-1, 1)
    (seen,) = pair.carry({"x": array}).values()
    assert seen.dtype == object
    assert seen.shape == array.shape
    assert [(type(one), one) for one in seen.ravel()] == [(type(one), one) for one in array.ravel()]


def test_text_that_has_no_bytes_is_refused_and_takes_nothing(pair: Pair) -> None:
    for text, error in (("\ud800", UnicodeEncodeError), (object(), TypeError)):
        with pytest.raises(error):
            pair.writer.write({"a": np.zeros(LONG), "x": np.array([text], object)})
    assert pair.writer.write({"a": np.zeros(LONG)}).start == 0


def test_several_pieces_are_put_one_below_the_other(pair: Pair) -> None:
    pieces: list[dict[str, Any]] = [
        {"x": np.full((rows, 700), rows, np.float32), "t": np.array([f"{rows}-{row}" for row in range(rows)], object)}
        for rows in (1, 4, 2)
    ]
    block, copy = pair.writer.place(pieces)
    copy()
    seen = pair.reader.read(block)
    assert (seen["x"] == np.concatenate([piece["x"] for piece in pieces])).all()
    assert seen["t"].tolist() == [text for piece in pieces for text in piece["t"]]


def test_arrays_start_at_multiples_of_64(pair: Pair) -> None:
    seen = pair.carry({name: np.full(LONG, 1, np.int8) for name in "abc"})
    assert all(array.ctypes.data % 64 == 0 for array in seen.values())


def test_a_block_is_not_used_again_while_anything_looks_at_it(pair: Pair) -> None:
    kept = pair.carry({"x": np.full(LONG, 1.0)})["x"][10:20].reshape(2, 5)
    assert pair.reader.released() == []
    pair.writer.released(pair.reader.released())
    other = pair.carry({"x": np.full(LONG, 2.0)})["x"]
    assert (kept == 1).all()
    assert (other == 2).all()
    del kept
    gc.collect()
    (start,) = pair.reader.released()
    pair.writer.released([start])
    assert pair.reader.released() == []
    assert pair.writer.write({"x": np.full(LONG, 3.0)}).start == start
    assert (other == 2).all()


def test_the_arena_grows_and_arrays_from_before_stay(pair: Pair) -> None:
    before = pair.carry({"x": np.full(LONG, 1.0)})["x"]
    large = pair.carry({"x": np.arange(10**6)})["x"]
    assert (large == np.arange(10**6)).all()
    assert (before == 1).all()


def test_memory_is_given_back(pair: Pair) -> None:
    kept = pair.carry({"x": np.full(LONG, 1.0)})["x"]
    large = pair.carry({"x": np.ones(10**6)})["x"]
    assert pair.memory > 8 * 10**6
    pair.writer.trim()
    assert (large == 1).all()
    del large
    pair.writer.released(pair.reader.released())
    pair.writer.trim()
    assert pair.memory < 10**5
    assert (kept == 1).all()
    assert (pair.carry({"x": np.full(10**6, 2.0)})["x"] == 2).all()
