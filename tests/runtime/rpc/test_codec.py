"""Messages to calls, outputs to messages."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import hypothesis
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call, Scalar
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.rpc import codec
from shipway.runtime.server.rpc.messages import message
from shipway.runtime.signature import Signature, Tensor

ANY = Door(Signature())

TYPED: list[tuple[str, str, list[Any]]] = [
    ("BOOL", "bool_contents", [True, False]),
    ("INT8", "int_contents", [-128, 127]),
    ("INT16", "int_contents", [-32768, 32767]),
    ("INT32", "int_contents", [-(2**31), 2**31 - 1]),
    ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
    ("UINT8", "uint_contents", [0, 255]),
    ("UINT16", "uint_contents", [0, 65535]),
    ("UINT32", "uint_contents", [0, 2**32 - 1]),
    ("UINT64", "uint64_contents", [0, 2**64 - 1]),
    ("FP32", "fp32_contents", [0.5, math.inf]),
    ("FP64", "fp64_contents", [0.1, -1e300]),
    ("BYTES", "bytes_contents", ["grün".encode(), b""]),
]


def request(*tensors: tuple[str, str, list[int], dict[str, Any] | None], **more: Any) -> Any:
    """A ModelInferRequest with these inputs: name, datatype, shape, contents."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, **({} if contents is None else {"contents": contents})}
        for name, datatype, shape, contents in tensors
    ]
    return message("inference.ModelInferRequest")(inputs=inputs, **more)


def answer(data: bytes) -> Any:
    return message("inference.ModelInferResponse").FromString(data)


@pytest.mark.parametrize("datatype, field, values", TYPED)
def test_every_datatype_there_and_back_typed(datatype: str, field: str, values: list[Any]) -> None:
    call = codec.decode(request(("x", datatype, [2, 1], {field: values})), ANY)
    array = call.inputs["x"]
    expected = [one.decode() for one in values] if datatype == "BYTES" else values
    assert array.shape == (2, 1)
    assert array.ravel().tolist() == expected
    assert call.binary is False
    response = answer(codec.encode({"y": array}, call, ANY, model="m", version="1"))
    (output,) = response.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", datatype, [2, 1])
    assert list(getattr(output.contents, field)) == values


@pytest.mark.parametrize("datatype, field, values", TYPED)
def test_every_datatype_there_and_back_raw(datatype: str, field: str, values: list[Any]) -> None:
    typed = codec.decode(request(("x", datatype, [2], {field: values})), ANY)
    raw = answer(codec.encode(typed.inputs, Call({}, binary=True), ANY, model="m", version="1")).raw_output_contents
    call = codec.decode(request(("x", datatype, [2], None), raw_input_contents=raw), ANY)
    assert call.binary is True
    assert call.inputs["x"].tolist() == typed.inputs["x"].tolist()
    assert call.inputs["x"].dtype == typed.inputs["x"].dtype


def test_half_precision_is_raw_only() -> None:
    half = np.array([1.5, -2.0], np.float16)
    call = codec.decode(request(("x", "FP16", [2], None), raw_input_contents=[half.tobytes()]), ANY)
    assert call.inputs["x"].tolist() == [1.5, -2.0]
    call = codec.decode(request(("x", "BF16", [1], None), raw_input_contents=[b"\x80\x3f"]), ANY)
    assert call.inputs["x"].tolist() == [1.0]
    for datatype in ("FP16", "BF16"):
        with pytest.raises(BadInput, match=f"{datatype} has no typed contents: send raw_input_contents"):
            codec.decode(request(("x", datatype, [1], {"fp32_contents": [1.0]})), ANY)
    both = {"x": half, "n": np.array([1, 2])}
    response = answer(codec.encode(both, Call({}), ANY, model="m", version="1"))  # asked typed
    assert len(response.raw_output_contents) == 2
    assert not any(one.HasField("contents") for one in response.outputs)


def test_an_output_that_is_declared_as_bf16_is_answered_as_bf16() -> None:
    door = Door(Signature((), (Tensor("y", "BF16", (-1,)),)))
    response = answer(codec.encode({"y": np.array([1.0], np.float32)}, Call({}), door, model="m", version="1"))
    assert (response.outputs[0].datatype, list(response.raw_output_contents)) == ("BF16", [b"\x80\x3f"])


@pytest.mark.parametrize(
    "given, said",
    [
        (request(("x", "FP32", [1], None), ("y", "FP32", [1], None), raw_input_contents=[b"1234"]), "1 tensors, and"),
        (request(("x", "FP32", [1], None), raw_input_contents=[b"1234", b"1234"]), "has 2 tensors, and inputs has 1"),
        (request(("x", "FP32", [1], {"fp32_contents": [1.0]}), raw_input_contents=[b"1234"]), "give one of them"),
        (
            request(("x", "FP32", [2], None), raw_input_contents=[b"1234"]),
            r"input 'x': 4 bytes, and FP32 \[2\] takes 8",
        ),
        (request(("x", "FP32", [2], {"fp32_contents": [1.0]})), r"fp32_contents has 1 elements, and shape \[2\] has 2"),
        (request(("x", "FP32", [1], {"fp64_contents": [1.0]})), "FP32 is sent in fp32_contents, and fp64_contents is"),
        (request(("x", "FP32", [1], {"fp32_contents": [1], "int_contents": [1]})), "int_contents, fp32_contents is"),
        (request(("x", "INT8", [1], {"int_contents": [128]})), "an element is no INT8"),
        (request(("x", "UINT16", [1], {"uint_contents": [65536]})), "an element is no UINT16"),
        (request(("x", "FP12", [1], None)), "unknown datatype 'FP12'"),
        (request(("x", "FP32", [-1, -1], {"fp32_contents": [1.0]})), "has 1 elements, and shape"),
        (request(("x", "FP32", [0, 2**62], {})), "shape"),
        (request(("x", "BYTES", [2], None), raw_input_contents=[b"\x01\0\0\0a"]), "hold no 2 BYTES elements"),
        (request(), "no input is given"),
        (request(("x", "FP32", [0], {}), ("x", "FP32", [0], {})), "repeated input 'x'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(given: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        codec.decode(given, ANY)
    assert str(caught.value).endswith("; expected inputs: any; outputs: not known")


def test_triton_extensions_that_we_do_not_have_are_named() -> None:
    shared = {"shared_memory_region": {"string_param": "here"}}
    for given in (
        request(("x", "FP32", [0], {}), outputs=[{"name": "y", "parameters": {"classification": {"int64_param": 3}}}]),
        message("inference.ModelInferRequest")(
            inputs=[{"name": "x", "datatype": "FP32", "shape": [1], "parameters": shared}]
        ),
    ):
        with pytest.raises(BadInput, match="is not supported"):
            codec.decode(given, ANY)


def test_empty_and_scalar_shapes() -> None:
    empty = codec.decode(request(("x", "FP32", [0, 3], {})), ANY).inputs["x"]
    assert empty.shape == (0, 3)
    assert empty.dtype == np.float32
    assert codec.decode(request(("x", "FP32", [], {"fp32_contents": [2.0]})), ANY).inputs["x"].shape == ()


def test_id_parameters_and_outputs_come_along() -> None:
    given: dict[str, Scalar] = {"s": "text", "b": True, "i": -5, "u": 2**63, "d": 0.5}
    kinds = {str: "string_param", bool: "bool_param", int: "int64_param", float: "double_param"}
    sent = {name: {kinds[type(value)]: value} for name, value in given.items()} | {"u": {"uint64_param": 2**63}}
    more = request(("x", "FP32", [0], {}), id="an id", parameters={**sent, "nothing": {}}, outputs=[{"name": "b"}])
    call = codec.decode(more, ANY, expires=7.0)
    assert (call.id, call.parameters, call.wanted, call.expires) == ("an id", given, ("b",), 7.0)
    for binary in (True, False):
        told = Call({}, id="é" * 200, binary=binary)
        outputs = {"y": np.zeros(2), "z": np.array(["a", b"\xff"], object)}
        data = codec.encode(outputs, told, ANY, model="m", version="2", parameters=given)
        response = answer(data)
        assert (response.model_name, response.model_version, response.id) == ("m", "2", "é" * 200)
        assert codec._scalars(response.parameters) == given
        assert [one.name for one in response.outputs] == ["y", "z"]
    assert codec.decode(request(("x", "FP32", [0], {})), ANY).id is None


def test_inputs_are_checked_against_the_signature_and_widened() -> None:
    door = Door(Signature((Tensor("x", "FP64", (-1, 2)),), (Tensor("y", "FP64", (-1,)),)))
    call = codec.decode(request(("x", "INT32", [1, 2], {"int_contents": [1, 2]})), door)
    assert call.inputs["x"].dtype == np.float64
    assert call.inputs["x"].tolist() == [[1.0, 2.0]]
    for given, said in (
        (request(("x", "FP64", [1, 3], None)), r"shape \[1, 3\] given where \[-1, 2\] is expected"),
        (request(("x", "BYTES", [1, 2], None)), "datatype BYTES given where FP64 is expected"),
        (request(("z", "FP64", [1, 2], None)), "unknown input 'z'"),
        (request(("x", "FP64", [0, 2], {}), outputs=[{"name": "z"}]), "unknown output 'z'"),
    ):
        with pytest.raises(BadInput, match=said):
            codec.decode(given, door)


@hypothesis.given(st.integers(0, 2**28))
def test_lengths_are_written_as_protobuf_reads_them(size: int) -> None:
    _, length, _ = codec._delimited(b"", _Sized(size))  # type: ignore[arg-type]
    read = 0
    for place, byte in enumerate(length):
        read |= (byte & 0x7F) << 7 * place
        assert bool(byte & 0x80) == (place < len(length) - 1)
    assert read == size


class _Sized:
    """Bytes of any number, without the bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


@hypothesis.given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_call_or_a_reason(data: bytes) -> None:
    whole = request(("x", "FP32", [1], None), raw_input_contents=[b"1234"]).SerializeToString()
    for one in (data, whole[: len(data) % len(whole)] + data):
        with contextlib.suppress(BadInput, DecodeError):
            codec.decode(message("inference.ModelInferRequest").FromString(one), ANY)
