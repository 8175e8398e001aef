"""What comes in is a call or a BadInput, and what goes out comes back the same: for all datatypes, shapes and codecs.

Bounded: the same few hundred examples of each test in every run.
"""

from __future__ import annotations

import contextlib
import json
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec import oip, rows, v1
from shipway.runtime.server.codec.binary import to_bytes
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.tensors import DTYPES
from shipway.runtime.signature import Signature, Tensor

# The same examples on every machine, and no deadline: two cores are shared by many.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)
MORE = settings(PROPERTY, max_examples=300)

DOORS = [
    Door(Signature()),
    Door(Signature((Tensor("x", "FP64", (-1, 2)),))),
    Door(Signature((Tensor("x", "BYTES", (-1,)),))),
    Door(Signature((Tensor("x", "FP32", (-1,)), Tensor("y", "FP32", (-1, 1))))),
    Door(Signature((Tensor("x", "BF16", (-1,)), Tensor("y", "BYTES", (-1,))))),
]
Decode = Callable[[bytes, Door], Call]
DECODERS: list[Decode] = [
    lambda body, door: oip.decode(body, None, door),
    lambda body, door: oip.decode(body, 0, door),
    lambda body, door: oip.decode(body, len(body) // 2, door),
    rows.decode,
    v1.decode,
]
KEYS = st.sampled_from(
    [
        "inputs",
        "outputs",
        "input",
        "instances",
        "name",
        "shape",
        "datatype",
        "data",
        "x",
        "y",
        "parameters",
        "b64",
        "id",
    ]
)
WORDS = st.sampled_from(["x", "y", "FP64", "FP32", "BYTES", "BF16", "INT64", "binary_data_size", "YQ=="])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@pytest.mark.slow
@PROPERTY
@given(JSON, st.sampled_from(DOORS))
def test_no_json_makes_more_than_a_bad_input(document: object, door: Door) -> None:
    for body in (document, {"inputs": [document]}, {"inputs": document}, {"input": document}, {"instances": document}):
        for decode in DECODERS:
            with contextlib.suppress(BadInput):
                decode(json.dumps(body).encode(), door)


@PROPERTY
@given(st.binary(max_size=60), st.sampled_from(DOORS))
def test_no_bytes_make_more_than_a_bad_input(body: bytes, door: Door) -> None:
    for decode in DECODERS:
        with contextlib.suppress(BadInput):
            decode(body, door)


@st.composite
def arrays(draw: st.DrawFn, datatype: str) -> Array:
    """Any array of a datatype, for BYTES with and without text."""
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    if datatype == "BYTES":
        array = np.empty(count, object)
        array[:] = draw(st.lists(st.text(max_size=4), min_size=count, max_size=count))
        return array.reshape(shape)
    if datatype == "BOOL":
        return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_).reshape(shape)
    dtype = DTYPES[datatype]
    bits = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    array = np.frombuffer(bits, dtype).reshape(shape)
    return array if datatype != "BF16" else (array.view(np.uint32) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def _finite(array: Array) -> Array:
    """Infinity has no form in JSON, and NaN is one value there."""
    return np.where(np.isfinite(array), array, array.dtype.type(np.nan)) if array.dtype.kind == "f" else array


@pytest.mark.slow
@MORE
@given(st.sampled_from(sorted(set(DTYPES) - {"FP16", "BF16"})), st.data())
def test_json_comes_back_the_same(datatype: str, data: st.DataObject) -> None:
    array = _finite(data.draw(arrays(datatype)))
    body, length = oip.encode({"x": array}, Call({}), DOORS[0], model="m", version="1")
    assert length is None
    output = json.loads(body)["outputs"][0]
    flat = json.dumps({"inputs": [output]}).encode()
    nested = json.dumps({"inputs": [output | {"data": np.array(output["data"], object).reshape(array.shape).tolist()}]})
    for text in (flat, nested.encode()):
        for door in (DOORS[0], Door(Signature((Tensor("x", datatype, array.shape),)))):
            back = oip.decode(text, None, door).inputs["x"]
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert np.array_equal(back, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.slow
@MORE
@given(st.sampled_from(sorted(DTYPES)), st.data())
def test_binary_comes_back_bit_by_bit(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))
    door = Door(Signature((Tensor("x", datatype, array.shape),), (Tensor("x", datatype, array.shape),)))
    answer, length = oip.encode({"x": array}, Call({}, binary=True), door, model="m", version="1")
    assert length is not None
    output = json.loads(answer[:length])["outputs"][0]
    assert output["datatype"] == datatype
    header = json.dumps({"inputs": [output]}).encode()
    back = oip.decode(header + answer[length:], len(header), door).inputs["x"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    if datatype == "BF16":
        assert np.array_equal(back, array, equal_nan=True)
    else:
        assert to_bytes(back, datatype) == to_bytes(array, datatype)


def _request() -> tuple[bytes, int]:
    tensors = [
        {"name": "x", "datatype": "BF16", "shape": [2], "parameters": {"binary_data_size": 4}},
        {"name": "y", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 10}},
    ]
    header = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return header + bytes(4) + struct.pack("<I1sI1s", 1, b"a", 1, b"\xff"), len(header)


@pytest.mark.slow
@MORE
@given(st.data())
def test_a_good_request_with_a_few_bytes_changed(data: st.DataObject) -> None:
    good, length = _request()
    assert oip.decode(good, length, DOORS[4]).inputs["y"].tolist() == ["a", b"\xff"]
    body = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3) | st.just(b"99999999999"))
    for door in DOORS:
        with contextlib.suppress(BadInput):
            oip.decode(bytes(body), length + data.draw(st.integers(-2, 2)), door)


def _lies() -> list[tuple[bytes, int | None]]:
    def body(shape: list[int], datatype: str, tail: bytes, **more: Any) -> tuple[bytes, int]:
        tensor = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(tail)}}
        header = json.dumps({"inputs": [tensor | more]}).encode()
        return header + tail, len(header)

    return [
        body([2**62], "FP32", bytes(8)),
        body([2**62, 2**62], "FP32", b""),
        body([0, 2**62], "FP64", b""),
        body([2**62, 0, 2**62], "BYTES", b""),
        body([2**30], "BYTES", bytes(1024)),
        body([1], "BYTES", b"\xff\xff\xff\xff"),
        body([2], "BYTES", struct.pack("<I", 2**31) + bytes(100)),
        body([1], "FP32", bytes(4), parameters={"binary_data_size": 2**62}),
        body([1], "FP32", bytes(4), parameters={"binary_data_size": 10**400}),
        (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1' + b"0" * 100_000 + b'],"data":[1]}]}', None),
        (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[' + b"1," * 100_000 + b'1],"data":[1]}]}', None),
        (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":' + b"[" * 200_000, None),
        (b'{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[' + b"1" * 200_000 + b"]}]}", None),
        (b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[1e' + b"1" * 200_000 + b"]}]}", None),
    ]


@pytest.mark.parametrize("lie", _lies())
def test_a_request_takes_memory_for_what_it_sends_and_not_for_what_it_claims(lie: tuple[bytes, int | None]) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(BadInput):
            oip.decode(*lie, DOORS[0])
        assert tracemalloc.get_traced_memory()[1] < 10 * len(lie[0]) + 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_many_elements_are_taken() -> None:
    values = json.dumps([0.5] * 10**6)
    body = f'{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1000000],"data":{values}}}]}}'.encode()
    assert oip.decode(body, None, DOORS[0]).inputs["x"].sum() == 500_000
