"""JSON text to arrays and back: exact, or refused."""

from __future__ import annotations

import contextlib
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec import text as codec
from shipway.runtime.server.codec.tensors import DTYPES

# The same examples on every machine, and no deadline: two cores are shared by many.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)


def _shaped(text: str, datatype: str, shape: tuple[int, ...]) -> Array:
    raw = msgspec.Raw(text.encode())
    depth = codec.json_depth(raw)
    return codec.reshaped(codec.parse(raw, datatype, depth), shape)


@pytest.mark.parametrize(
    ("text", "datatype", "shape", "expected"),
    [
        ("[1, 2, 3, 4]", "FP32", (2, 2), [[1, 2], [3, 4]]),
        ("[[1, 2], [3, 4]]", "FP32", (2, 2), [[1, 2], [3, 4]]),
        (" [ [1.5 , 2] ] ", "FP64", (1, 2), [[1.5, 2]]),
        ("[[[1], [2]]]", "INT8", (1, 2, 1), [[[1], [2]]]),
        ("[true, false]", "BOOL", (2,), [True, False]),
        ("[9223372036854775807, -9223372036854775808]", "INT64", (2,), [2**63 - 1, -(2**63)]),
        ("[9007199254740993]", "INT64", (1,), [2**53 + 1]),
        ("[18446744073709551615]", "UINT64", (1,), [2**64 - 1]),
        ('["a", "ü"]', "BYTES", (2,), ["a", "ü"]),
        ("5", "INT32", (), 5),
        ("[5]", "INT32", (), 5),
        ("[]", "FP32", (0, 64), np.zeros((0, 64))),
        ("[[], []]", "FP32", (2, 0), np.zeros((2, 0))),
        ("[[]]", "FP32", (1, 0, 3), np.zeros((1, 0, 3))),
    ],
)
def test_data_is_taken_flat_or_nested(text: str, datatype: str, shape: tuple[int, ...], expected: object) -> None:
    array = _shaped(text, datatype, shape)
    assert array.shape == shape
    assert array.dtype == DTYPES[datatype]
    assert np.array_equal(array, np.array(expected, dtype=DTYPES[datatype]))


def test_null_is_nan() -> None:
    array = _shaped("[1, null]", "FP32", (2,))
    assert math.isnan(array[1])


@pytest.mark.parametrize(
    ("text", "datatype", "shape", "problem"),
    [
        ("[true]", "BOOL", (3,), "1 elements, and shape .* has 3"),  # the protocol's own example
        ("[1, 2, 3]", "FP32", (2, 2), "3 elements"),
        ("[[1, 2], [3]]", "FP32", (2, 2), "not FP32"),
        ('[["a"], ["b", "c"]]', "BYTES", (2, 2), "unequal length"),
        ("[[1, 2, 3, 4]]", "FP32", (2, 2), "data has shape"),
        ("[[[1, 2], [3, 4]]]", "FP32", (2, 2), "data has shape"),
        ("[[1, 2], [3, 4]]", "FP32", (4,), "data has shape"),
        ("[1, true]", "INT32", (2,), "not INT32"),
        ("[1.0]", "INT32", (1,), "not INT32"),
        ("[1]", "BOOL", (1,), "not BOOL"),
        ('["1"]', "FP32", (1,), "not FP32"),
        ("[1]", "BYTES", (1,), "not BYTES"),
        ("[null]", "INT32", (1,), "not INT32"),
        ("[256]", "UINT8", (1,), "not UINT8"),
        ("[-1]", "UINT64", (1,), "not UINT64"),
        ("[18446744073709551616]", "UINT64", (1,), "not UINT64"),
        ("[9223372036854775808]", "INT64", (1,), "not INT64"),
        ("[1e40]", "FP32", (1,), "not FP32"),
        ("[1e400]", "FP64", (1,), "not FP64"),
        ("{}", "FP32", (1,), "not FP32"),
        ("[]", "FP32", (0, 10**30), "shape"),
        ("[" * 50 + "]" * 50, "FP32", (1,) * 50, "at most 32"),
    ],
)
def test_other_data_is_refused(text: str, datatype: str, shape: tuple[int, ...], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        _shaped(text, datatype, shape)


@PROPERTY
@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)))
def test_fp64_comes_through_unchanged(rows: list[list[float]]) -> None:
    text = msgspec.json.encode(rows).decode()
    array = _shaped(text, "FP64", (len(rows), 3)) if rows else np.zeros((0, 3))
    assert array.tolist() == rows


@PROPERTY
@given(st.text(max_size=40), st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 3), max_size=3))
def test_any_text_is_an_array_or_a_bad_input(text: str, datatype: str, shape: list[int]) -> None:
    with contextlib.suppress(BadInput):
        assert _shaped(text, datatype, tuple(shape)).shape == tuple(shape)
