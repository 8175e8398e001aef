"""Bytes of tensors to arrays and back: exact, or refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec.binary import elements, from_bytes, to_bytes
from shipway.runtime.server.codec.tensors import DTYPES

# The same examples on every machine, and no deadline: two cores are shared by many.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)

NUMBERS = sorted(set(DTYPES) - {"BYTES", "BF16", "BOOL"})


def _bytes_of(*parts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(one)) + one for one in parts)


@PROPERTY
@given(st.sampled_from(NUMBERS), st.data())
def test_numbers_come_back_bit_by_bit(datatype: str, data: st.DataObject) -> None:
    dtype = DTYPES[datatype]
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=4)))
    size = int(np.prod(shape)) * dtype.itemsize
    body = data.draw(st.binary(min_size=size, max_size=size))
    array = from_bytes(body, datatype, shape)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert to_bytes(array, datatype) == body


@PROPERTY
@given(st.lists(st.binary(max_size=6), max_size=6))
def test_bytes_come_back_as_they_were(parts: list[bytes]) -> None:
    body = _bytes_of(*parts)
    array = from_bytes(body, "BYTES", (len(parts),))
    assert to_bytes(array, "BYTES") == body


def test_an_element_is_text_where_it_can_be_and_bytes_elsewhere() -> None:
    array = from_bytes(_bytes_of(b"a", "ü".encode(), b"\xff\x00", b""), "BYTES", (2, 2))
    assert array.tolist() == [["a", "ü"], [b"\xff\x00", ""]]


def test_aligned_numbers_are_not_copied_and_others_are_right() -> None:
    values = np.arange(6, dtype=np.float32)
    body = bytes(8) + values.tobytes()
    aligned = from_bytes(memoryview(body)[8:], "FP32", (2, 3))
    assert not aligned.flags.owndata and not aligned.flags.writeable
    shifted = b"{" + values.tobytes()
    array = from_bytes(memoryview(shifted)[1:], "FP32", (2, 3))
    assert array.flags.aligned
    assert array.tolist() == aligned.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_bf16_is_the_upper_half_of_fp32() -> None:
    array = from_bytes(bytes.fromhex("803f 00c0 807f c07f 0100".replace(" ", "")), "BF16", (5,))
    assert array.dtype == np.float32
    assert array[:3].tolist() == [1.0, -2.0, float("inf")]
    assert np.isnan(array[3])
    assert array[4] == np.float32(2**-133)  # a subnormal is not flushed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "3f80"),
        (1.00390625, "3f80"),  # half a step above an even one
        (1.01171875, "3f82"),  # half a step above an odd one
        (1.0040, "3f81"),
        (3.4028235e38, "7f80"),  # beyond the largest: infinity
        (float("-inf"), "ff80"),
    ],
)
def test_fp32_is_rounded_to_the_nearest_bf16(value: float, expected: str) -> None:
    assert to_bytes(np.array([value], np.float32), "BF16") == bytes.fromhex(expected)[::-1]


def test_a_nan_stays_one_in_bf16() -> None:
    lower_half_only = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(from_bytes(to_bytes(lower_half_only, "BF16"), "BF16", (2,))).all()


@PROPERTY
@given(st.binary(min_size=2, max_size=2).filter(lambda bits: bits[1] & 0x7F != 0x7F or bits[0] < 0x80))
def test_bf16_comes_back_bit_by_bit(bits: bytes) -> None:
    assert to_bytes(from_bytes(bits, "BF16", (1,)), "BF16") == bits


@pytest.mark.parametrize(
    ("body", "datatype", "shape", "problem"),
    [
        (bytes(7), "FP32", (2,), r"7 bytes, and FP32 \[2\] takes 8"),
        (bytes(9), "FP32", (2,), "9 bytes"),
        (b"", "FP32", (), "0 bytes"),
        (b"\x02", "BOOL", (1,), "0 or 1"),
        (b"", "FP32", (2**62, 2**62), "takes"),
        (b"", "FP32", (0, 2**63), "shape"),
        (b"", "FP32", (-1,), "below 0"),
        (b"", "FP32", (1,) * 33, "at most 32"),
        (b"", "FP128", (1,), "unknown datatype"),
        (b"", "BYTES", (2**62,), "0 bytes hold no"),
        (b"\x00\x00\x00", "BYTES", (1,), "3 bytes hold no 1"),
        (b"\xff\xff\xff\xff", "BYTES", (1,), "has 4294967295 bytes, and 0 are left"),
        (_bytes_of(b"abcd") + b"\x00", "BYTES", (2,), "behind the end"),
        (_bytes_of(b"a", b"b"), "BYTES", (1,), "5 bytes are left"),
    ],
)
def test_other_bytes_are_refused(body: bytes, datatype: str, shape: tuple[int, ...], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        from_bytes(body, datatype, shape)


@PROPERTY
@given(st.binary(max_size=40), st.sampled_from([*sorted(DTYPES), "?"]), st.lists(st.integers(-1, 2**64), max_size=4))
def test_any_bytes_are_an_array_or_a_bad_input(body: bytes, datatype: str, shape: list[int]) -> None:
    try:
        array = from_bytes(body, datatype, shape)
    except BadInput:
        return
    assert array.shape == tuple(shape)
    assert array.nbytes <= 8 * len(body)


def test_one_element_may_be_a_buffer() -> None:
    assert elements([memoryview(b"abc")], 1).tolist() == ["abc"]
