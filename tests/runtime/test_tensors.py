"""JSON text to arrays and back: exact, or refused."""

from __future__ import annotations

import contextlib
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec import tensors
from shipway.runtime.signature import Signature, Tensor


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


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
    ],
)
def test_data_is_taken_flat_or_nested(text: str, datatype: str, shape: tuple[int, ...], expected: object) -> None:
    array = tensors.shaped(_raw(text), datatype, shape)
    assert array.shape == shape
    assert array.dtype == tensors.DTYPES[datatype]
    assert np.array_equal(array, np.array(expected, dtype=tensors.DTYPES[datatype]))


def test_null_is_nan() -> None:
    array = tensors.shaped(_raw("[1, null]"), "FP32", (2,))
    assert math.isnan(array[1])


@pytest.mark.parametrize(
    ("text", "datatype", "shape", "problem"),
    [
        ("[true]", "BOOL", (3,), "1 elements, and shape .* has 3"),  # the protocol's own example
        ("[1, 2, 3]", "FP32", (2, 2), "3 elements"),
        ("[[1, 2], [3]]", "FP32", (2, 2), "not FP32"),
        ('[["a"], ["b", "c"]]', "BYTES", (2, 2), "unequal length"),
        ("[[1, 2, 3, 4]]", "FP32", (2, 2), "data has shape"),
        ("[[[1, 2], [3, 4]]]", "FP32", (2, 2), "nested 3 deep"),
        ("[[1, 2], [3, 4]]", "FP32", (4,), "nested 2 deep"),
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
        ("{}", "FP32", (1,), "nested 0 deep"),
        ("[]", "FP32", (0, 10**30), "shape"),
        ("[" * 50 + "]" * 50, "FP32", (1,) * 50, "at most 32"),
    ],
)
def test_other_data_is_refused(text: str, datatype: str, shape: tuple[int, ...], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        tensors.shaped(_raw(text), datatype, shape)


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3)))
def test_fp64_comes_through_unchanged(rows: list[list[float]]) -> None:
    text = msgspec.json.encode(rows).decode()
    array = tensors.shaped(_raw(text), "FP64", (len(rows), 3)) if rows else np.zeros((0, 3))
    assert array.tolist() == rows


@given(st.text(max_size=40), st.sampled_from(sorted(tensors.DTYPES)), st.lists(st.integers(0, 3), max_size=3))
def test_any_text_is_an_array_or_a_bad_input(text: str, datatype: str, shape: list[int]) -> None:
    with contextlib.suppress(BadInput):
        assert tensors.shaped(_raw(text), datatype, tuple(shape)).shape == tuple(shape)


@pytest.mark.parametrize(
    ("given_type", "wanted"), [("INT32", "FP64"), ("FP32", "FP64"), ("UINT8", "INT16"), ("INT64", "FP64")]
)
def test_types_widen(given_type: str, wanted: str) -> None:
    array = np.array([1, 2], tensors.DTYPES[given_type])
    assert tensors.widen(array, given_type, wanted).dtype == tensors.DTYPES[wanted]


@pytest.mark.parametrize(
    ("given_type", "wanted"), [("FP64", "FP32"), ("INT64", "INT32"), ("BOOL", "FP64"), ("BYTES", "FP32")]
)
def test_types_never_narrow(given_type: str, wanted: str) -> None:
    with pytest.raises(BadInput, match=f"{given_type} given where {wanted}"):
        tensors.widen(np.zeros(1, tensors.DTYPES[given_type]), given_type, wanted)


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ([1.5], "FP64"),
        ([True], "BOOL"),
        (["a"], "BYTES"),
        ([b"a"], "BYTES"),
        (np.array(["a", "b"], dtype=object), "BYTES"),
        (np.array([1], np.float16), "FP32"),
        (np.array([1], ">i4"), "INT32"),
    ],
)
def test_what_a_model_returns_has_a_datatype(value: object, datatype: str) -> None:
    assert tensors.datatype_of(tensors.presentable(value)) == datatype


@pytest.mark.parametrize("value", [[None], [1j], [[1], [1, 2]], np.array(["2020-01-01"], "datetime64[D]"), [{}]])
def test_what_has_none_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        tensors.presentable(value)


def test_zeros_are_one_row() -> None:
    made = tensors.zeros((Tensor("x", "FP32", (-1, 2)), Tensor("y", "INT64", (3,))))
    assert made is not None
    assert {name: (array.shape, str(array.dtype)) for name, array in made.items()} == {
        "x": ((1, 2), "float32"),
        "y": ((3,), "int64"),
    }


@pytest.mark.parametrize("inputs", [(), (Tensor("x", "BYTES", (-1,)),), (Tensor("x", "FP32", (-1, -1)),)])
def test_no_sample_is_made_up(inputs: tuple[Tensor, ...]) -> None:
    assert tensors.zeros(inputs) is None


def test_a_signature_is_checked_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="FLOAT"):
        Tensor("x", "FLOAT", (1,))
    with pytest.raises(ValueError, match="below -1"):
        Tensor("x", "FP32", (-2,))
    assert str(Signature()) == "inputs: any; outputs: not known"
