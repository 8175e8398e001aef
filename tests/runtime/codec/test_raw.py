"""A body that is nothing but one tensor's bytes."""

from __future__ import annotations

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec import oip
from shipway.runtime.server.codec.door import Door
from shipway.runtime.signature import Signature, Tensor


def _door(datatype: str, *shape: int) -> Door:
    return Door(Signature((Tensor("x", datatype, shape),)))


@pytest.mark.parametrize(
    ("door", "expected"),
    [
        (_door("FP32", -1, 2), [[0, 1], [2, 3]]),
        (_door("FP32", 2, -1, 1), [[[0], [1]], [[2], [3]]]),
        (_door("FP32", 4), [0, 1, 2, 3]),
    ],
)
def test_the_open_size_is_worked_out(door: Door, expected: object) -> None:
    call = oip.decode(np.arange(4, dtype=np.float32).tobytes(), 0, door)
    assert call.inputs["x"].tolist() == expected
    assert call.binary is True


def test_bytes_are_one_element_without_a_length() -> None:
    assert oip.decode(b"\xff\xd8", 0, _door("BYTES", -1)).inputs["x"].tolist() == [b"\xff\xd8"]
    assert oip.decode(b"text", 0, _door("BYTES", -1, 1)).inputs["x"].tolist() == [["text"]]


def test_bf16_is_widened() -> None:
    assert oip.decode(b"\x80\x3f", 0, _door("BF16", -1)).inputs["x"].tolist() == [1.0]


def test_no_bytes_are_no_rows() -> None:
    assert oip.decode(b"", 0, _door("FP32", -1, 2)).inputs["x"].shape == (0, 2)


@pytest.mark.parametrize(
    ("body", "door", "problem"),
    [
        (bytes(7), _door("FP32", -1), "7 bytes are no whole number of FP32 elements of 4 bytes"),
        (bytes(12), _door("FP32", -1, 2), r"3 elements, and input x FP32 \[-1, 2\]"),
        (bytes(12), _door("FP32", 4), "3 elements"),
        (bytes(4), _door("FP32", -1, 0), "1 elements"),
        (bytes(4), _door("FP32", -1, -1), "leaves 2 sizes open"),
        (b"a", _door("BYTES", 2), "1 elements"),
        (bytes(4), Door(Signature()), "declare one input"),
        (bytes(4), Door(Signature((Tensor("a", "FP32", (1,)), Tensor("b", "FP32", (1,))))), "declare one input"),
    ],
)
def test_what_does_not_fit_is_refused(body: bytes, door: Door, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        oip.decode(body, 0, door)
