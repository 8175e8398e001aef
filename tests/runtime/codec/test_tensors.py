"""What models return, the protocol's datatypes, and what a signature lets in."""

from __future__ import annotations

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec import tensors
from shipway.runtime.server.codec.door import Door, widens
from shipway.runtime.signature import DATATYPES, Signature, Tensor

DOOR = Door(Signature((Tensor("x", "FP32", (-1, 2)), Tensor("t", "BYTES", (-1,))), (Tensor("y", "FP64", (-1,)),)))


def test_every_datatype_can_be_held() -> None:
    assert tuple(sorted(tensors.DTYPES)) == tuple(sorted(DATATYPES))


@pytest.mark.parametrize(
    ("given_type", "wanted"),
    [("INT32", "FP64"), ("FP32", "FP64"), ("UINT8", "INT16"), ("INT64", "FP64"), ("BF16", "FP32"), ("FP16", "FP32")],
)
def test_types_widen(given_type: str, wanted: str) -> None:
    assert widens(given_type, wanted)


@pytest.mark.parametrize(
    ("given_type", "wanted"),
    [
        ("FP64", "FP32"),
        ("INT64", "INT32"),
        ("BOOL", "FP64"),
        ("BYTES", "FP32"),
        ("FP32", "BF16"),
        ("BF16", "FP16"),
        ("UINT8", "BF16"),
    ],
)
def test_types_never_narrow(given_type: str, wanted: str) -> None:
    assert not widens(given_type, wanted)


def test_the_door_widens_to_what_is_declared() -> None:
    array = np.array([[1, 2]], np.int8)
    assert DOOR.widen("x", "INT8", array).dtype == np.float32
    assert Door(Signature()).widen("x", "INT8", array) is array


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "problem"),
    [
        ("x", "FP64", (1, 2), "'x': datatype FP64 given where FP32 is expected"),
        ("x", "FP32", (1, 3), r"'x': shape \[1, 3\] given where \[-1, 2\] is expected"),
        ("t", "BYTES", (), r"'t': shape \[\] given"),
        ("x", "FLOAT", (1, 2), "'x': unknown datatype 'FLOAT'; one of BOOL"),
    ],
)
def test_what_the_door_refuses(name: str, datatype: str, shape: tuple[int, ...], problem: str) -> None:
    for _ in range(2):  # a refusal is not remembered as a pass
        with pytest.raises(BadInput, match=problem):
            DOOR.check(name, datatype, shape)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], "no input"),
        (["x"], "missing input 't'"),
        (["x", "t", "z"], "unknown input 'z'"),
        (["x", "x", "t"], "repeat"),
    ],
)
def test_names_that_the_door_refuses(names: list[str], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        DOOR.check_names(names)


def test_inputs_may_come_in_any_order() -> None:
    DOOR.check_names(["t", "x"])
    Door(Signature()).check_names(["a", "b"])


def test_outputs_are_known_and_named_once() -> None:
    assert DOOR.wanted(("y",)) == ("y",)
    assert Door(Signature()).wanted(("b", "a")) == ("b", "a")
    with pytest.raises(BadInput, match="unknown output 'z'"):
        DOOR.wanted(("z",))
    with pytest.raises(BadInput, match="repeated output 'y'"):
        DOOR.wanted(("y", "y"))


def test_a_refusal_is_never_as_long_as_what_it_refuses() -> None:
    text = str(DOOR.refusal(BadInput("x" * 10_000)))
    assert len(text) < 1200
    assert text.endswith("...; expected " + str(DOOR.signature))


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ([1.5], "FP64"),
        ([True], "BOOL"),
        (["a"], "BYTES"),
        ([b"a"], "BYTES"),
        ([b"\xff"], "BYTES"),
        (np.array(["a", b"b"], dtype=object), "BYTES"),
        (np.array([1], np.float16), "FP16"),
        (np.array([1], ">i4"), "INT32"),
        (np.array([1], np.longlong), "INT64"),
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
