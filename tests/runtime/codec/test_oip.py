"""Bodies of requests, good and bad, in the protocol's form and as plain rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec import oip
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.signature import Signature, Tensor

ONE = Signature((Tensor("x", "FP64", (-1, 2)),), (Tensor("label", "INT64", (-1,)), Tensor("p", "FP64", (-1, 3))))
TWO = Signature((Tensor("a", "FP32", (-1,)), Tensor("b", "BYTES", (-1,))))
ANY = Signature()


def _decode(body: bytes, signature: Signature, header_length: int | None = None) -> Call:
    return oip.decode(body, header_length, Door(signature))


def _encode(outputs: dict[str, Array], call: Call, signature: Signature = ANY) -> tuple[bytes, int | None]:
    return oip.encode(outputs, call, Door(signature), model="m", version="3")


def _body(*, id: object = None, outputs: object = None, **input_: object) -> bytes:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]} | input_
    document = {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}
    extra = {"id": id, "outputs": outputs}
    return json.dumps(document | {key: value for key, value in extra.items() if value is not None}).encode()


def test_a_request_of_the_protocol() -> None:
    call = _decode(_body(id="abc", outputs=[{"name": "p"}]), ONE)
    assert call.inputs["x"].tolist() == [[1.0, 2.0]]
    assert call.wanted == ("p",)
    assert call.id == "abc"


def test_a_narrower_type_is_widened() -> None:
    assert _decode(_body(datatype="INT32"), ONE).inputs["x"].dtype == np.float64


def test_without_a_signature_anything_goes() -> None:
    call = _decode(_body(name="z", shape=[2], datatype="INT64"), ANY)
    assert call.inputs["z"].tolist() == [1, 2]


def test_unknown_fields_and_parameters_are_passed_over() -> None:
    body = json.loads(_body(parameters={"a": 1, "b": "x", "c": True, "d": 1.5}))
    assert _decode(json.dumps(body | {"future": [1]}).encode(), ONE).inputs.keys() == {"x"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"not json", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "inputs"),
        (b'{"inputs": []}', "inputs"),
        (b'{"inputs": [{"name": "x"}]}', "missing required field"),
        (b'{"inputs": ' + b"[" * 100_000, "."),
        (b'{"x": ' + b"[" * 100_000, "."),
        (_body(id=7), "id"),
        (_body(name="y"), "unknown input 'y'"),
        (_body(name=5), "name"),
        (_body(shape=[1, 3], data=[1, 2, 3]), r"shape \[1, 3\] given where \[-1, 2\]"),
        (_body(shape=[2]), r"shape \[2\]"),
        (_body(shape=[-1, 2]), "shape"),
        (_body(shape=[1.0, 2]), "shape"),
        (_body(shape=[10**30, 2]), "elements|shape"),
        (_body(shape=[2, 2]), "2 elements"),
        (_body(datatype="FP16"), "no form in JSON"),
        (_body(datatype="BF16"), "no form in JSON"),
        (_body(datatype="FLOAT"), "unknown datatype 'FLOAT'; one of BOOL"),
        (_body(datatype="BYTES", data=["a", "b"]), "BYTES given where FP64"),
        (_body(datatype="BOOL", data=[True, False]), "BOOL given where FP64"),
        (_body(data=["a", "b"]), "not FP64"),
        (_body(data=[True, False]), "not FP64"),
        (b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"data":[NaN,1]}]}', "malformed"),
        (b'{"inputs":[{"name":"x","datatype":"BYTES","shape":[1,2],"data":["\xff","a"]}]}', "."),
        (_body(data=None), "no data"),
        (_body(data=None, parameters={"binary_data_size": 16}), "needs the header"),
        (_body(parameters={"binary_data_size": 16}), "needs the header"),
        (_body(parameters={"a": [1]}), "parameters"),
        (_body(outputs=[{"name": "nope"}]), "unknown output 'nope'"),
        (json.dumps({"inputs": json.loads(_body())["inputs"] * 2}).encode(), "repeated input 'x'"),
    ],
)
def test_a_bad_request_is_told_what_is_expected(body: bytes, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        _decode(body, ONE)
    assert "expected inputs: x FP64 [-1, 2]; outputs: label INT64 [-1], p FP64 [-1, 3]" in str(caught.value)


def test_all_inputs_have_the_same_rows() -> None:
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [2], "data": [1, 2]},
        {"name": "b", "datatype": "BYTES", "shape": [1], "data": ["x"]},
    ]
    with pytest.raises(BadInput, match="different numbers of rows"):
        _decode(json.dumps({"inputs": inputs}).encode(), TWO)
    with pytest.raises(BadInput, match="missing input 'b'"):
        _decode(json.dumps({"inputs": inputs[:1]}).encode(), TWO)


def test_the_response_is_flat_and_exact() -> None:
    call = Call({}, id="7")
    outputs: dict[str, Array] = {
        "big": np.array([[2**63 - 1]], np.int64),
        "nan": np.array([np.nan, np.inf, 0.1]),
        "text": np.array(["ü"], dtype=object),
    }
    body = json.loads(_encode(outputs, call)[0])
    assert body == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "big", "datatype": "INT64", "shape": [1, 1], "data": [2**63 - 1]},
            {"name": "nan", "datatype": "FP64", "shape": [3], "data": [None, None, 0.1]},
            {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["ü"]},
        ],
    }
    assert "id" not in json.loads(_encode(outputs, Call({}))[0])


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ({"data": [1, 2]}, [[1, 2]]),
        ({"data": [[1, 2]]}, [[1, 2]]),
        ({"data": [1, None]}, [[1, None]]),
        ({"data": [[1, None]]}, [[1, None]]),
        ({"datatype": "INT8", "data": [[1, 2]]}, [[1, 2]]),
        ({"datatype": "FP32", "data": [0.5, 2]}, [[0.5, 2]]),
        ({"shape": [0, 2], "data": []}, []),
        ({"shape": [2, 2], "data": [[1, 2], [3, 4]]}, [[1, 2], [3, 4]]),
    ],
)
def test_data_is_read_in_one_pass_or_in_two_with_the_same_result(tensor: dict[str, object], expected: object) -> None:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2]} | tensor]}, indent=2).encode()
    array = _decode(body, ONE).inputs["x"]
    assert array.dtype == np.float64
    assert np.array_equal(array, np.array(expected, np.float64).reshape(array.shape), equal_nan=True)


def test_a_word_that_looks_like_data_leads_nowhere() -> None:
    body = b'{"note":{"data":[[["x"]]]},' + _body()[1:]
    assert _decode(body, ONE).inputs["x"].tolist() == [[1, 2]]


def test_several_inputs_of_one_type_may_be_nested_differently() -> None:
    signature = Signature((Tensor("a", "FP32", (-1, 2)), Tensor("b", "FP32", (-1,))))
    inputs = [
        {"name": "b", "datatype": "FP32", "shape": [1], "data": [3]},
        {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [[1, 2]]},
    ]
    call = _decode(json.dumps({"inputs": inputs}).encode(), signature)
    assert {name: array.tolist() for name, array in call.inputs.items()} == {"a": [[1, 2]], "b": [3]}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"\xef\xbb\xbf" + _body(), "malformed"),  # a byte order mark
        (_body() + b"x", "trailing|malformed"),
        (_body(shape=[1, 1] * 17), "length"),
        (_body(shape=[2**63, 2]), "shape|<="),
        (_body(shape=[0, 2], data=[1]), "1 elements"),
        (_body(data=[True, 1]), "not FP64"),
        (_body(data=10**400), "out of range"),
        (b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"data":[1,' + b"9" * 5000 + b"]}]}", "not FP64"),
        (_body(data=[1] * 10**6), "1000000 elements"),
        (_body(id=["a"]), "id"),
        (b'{"id":"\\ud800",' + _body()[1:], "unicode|surrogate"),
        (_body(parameters={"a": None}), "parameters"),
        (_body(parameters={"classification": 3}), "classification is not supported"),
        (_body(outputs=[{"name": "p", "parameters": {"classification": 3}}]), "classification is not supported"),
        (_body(parameters={"shared_memory_region": "r"}), "shared_memory_region is not supported"),
        (_body(outputs=[{"name": "p"}, {"name": "p"}]), "repeated output 'p'"),
        (
            _body(outputs=[{"name": "p", "parameters": {"binary_data": 1}}]),
            "binary_data is 1, and must be true or false",
        ),
        (b'{"parameters":{"binary_data_output":"yes"},' + _body()[1:], "binary_data_output is 'yes'"),
    ],
)
def test_more_bad_requests(body: bytes, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        _decode(body, ONE)
    assert len(str(caught.value)) < 1500


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    assert _decode(b'{"id":"a",' + _body(id="b")[1:], ONE).id == "b"


@pytest.mark.parametrize(
    ("outputs", "default", "expected"),
    [
        (None, None, False),
        (None, True, True),
        (None, False, False),
        ([("p", None)], None, False),
        ([("p", None)], True, True),
        ([("p", False)], None, frozenset()),
        ([("p", False), ("label", None)], True, {"label"}),
        ([("p", True), ("label", None)], False, {"p"}),
        ([("p", True), ("label", None)], None, {"p"}),
    ],
)
def test_which_outputs_come_in_binary(
    outputs: list[tuple[str, bool | None]] | None, default: bool | None, expected: object
) -> None:
    document = json.loads(_body())
    if default is not None:
        document["parameters"] = {"binary_data_output": default, "mine": 1}
    if outputs is not None:
        document["outputs"] = [
            {"name": name} | ({} if choice is None else {"parameters": {"binary_data": choice}})
            for name, choice in outputs
        ]
    call = _decode(json.dumps(document).encode(), ONE)
    assert call.binary == expected
    assert call.wanted == tuple(name for name, _ in outputs or [])
    assert "binary_data_output" not in call.parameters  # how it is answered is no affair of the model's


@pytest.mark.parametrize("empty", ['"outputs":null,"parameters":null,"id":null,', '"outputs":[],"parameters":{},'])
def test_what_is_optional_may_be_null(empty: str) -> None:
    call = _decode(b"{" + empty.encode() + _body()[1:], ONE)
    assert (call.wanted, call.parameters, call.id) == ((), {}, None)


MIXED = Signature((Tensor("a", "INT32", (-1,)), Tensor("b", "BYTES", (-1,)), Tensor("c", "FP32", (-1, 2))))


def _mixed(*, a: int = 4, c: int = 8, tail: bytes = b"", **of_c: object) -> tuple[bytes, int]:
    tensors = [
        {"name": "c", "datatype": "BF16", "shape": [1, 2], "parameters": {"binary_data_size": c}} | of_c,
        {"name": "b", "datatype": "BYTES", "shape": [1], "data": ["text"]},
        {"name": "a", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": a}},
    ]
    header = json.dumps({"inputs": tensors}).encode()
    return header + b"\x80\x3f\x00\x40" + b"\x07\x00\x00\x00" + tail, len(header)


def test_json_and_binary_inputs_mixed_in_the_order_of_the_json() -> None:
    body, length = _mixed(c=4)
    call = _decode(body, MIXED, length)
    assert {name: array.tolist() for name, array in call.inputs.items()} == {"c": [[1, 2]], "b": ["text"], "a": [7]}
    assert call.inputs["c"].dtype == np.float32


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (_mixed(c=3), "3 bytes, and BF16"),
        (_mixed(c=8), "8 bytes, and BF16"),
        (_mixed(c=4, a=5), "binary_data_size is 5, and 4 bytes are left"),
        (_mixed(c=4, a=2**70), "4 bytes are left"),
        (_mixed(c=4, tail=b"!"), "1 bytes are left in the body"),
        (_mixed(c=4, parameters={"binary_data_size": -4}), "is -4, and must be a number of bytes"),
        (_mixed(c=4, parameters={"binary_data_size": 4.0}), "is 4.0, and must be"),
        (_mixed(c=4, parameters={"binary_data_size": True}), "is True, and must be"),
        (_mixed(c=4, parameters={"binary_data_size": "4"}), "is '4', and must be"),
        (_mixed(c=4, data=[1, 2]), "both given"),
        (_mixed(c=4, parameters={}), "no data"),
        (_mixed(c=4, shape=[2**40, 2]), "shape|takes"),
        ((_mixed(c=4)[0], 10**9), "Inference-Header-Content-Length is 1000000000, and the body has"),
        ((_mixed(c=4)[0], -1), "Inference-Header-Content-Length is -1"),
        ((_mixed(c=4)[0], 10), "truncated"),
        ((b"", 5), "the body has 0 bytes"),
    ],
)
def test_bad_binary_requests(body: tuple[bytes, int], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        _decode(body[0], MIXED, body[1])


def test_a_header_length_without_binary_data_is_plain_json() -> None:
    assert _decode(_body(), ONE, len(_body())).inputs["x"].tolist() == [[1, 2]]


def test_a_binary_answer() -> None:
    signature = Signature(outputs=(Tensor("bf", "BF16", (-1,)), Tensor("half", "FP16", (-1,))))
    outputs: dict[str, Array] = {
        "bf": np.array([1, -2], np.float32),
        "half": np.array([1.5], np.float16),
        "text": np.array(["ü", b"\xff"], object),
        "big": np.array([[2**64 - 1]], np.uint64),
    }
    binary = frozenset({"bf", "half", "text"})
    body, length = _encode(outputs, Call({}, id="7", binary=binary), signature)
    assert length is not None
    assert json.loads(body[:length])["outputs"] == [
        {"name": "bf", "datatype": "BF16", "shape": [2], "parameters": {"binary_data_size": 4}},
        {"name": "half", "datatype": "FP16", "shape": [1], "parameters": {"binary_data_size": 2}},
        {"name": "text", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11}},
        {"name": "big", "datatype": "UINT64", "shape": [1, 1], "data": [2**64 - 1]},
    ]
    assert body[length:] == bytes.fromhex("803f00c0003e02000000c3bc01000000ff")
    everything, _ = _encode(outputs, Call({}, binary=True), signature)
    assert everything.endswith(b"\xff" * 8)


def test_halves_are_answered_as_fp32_in_json() -> None:
    body, length = _encode({"half": np.array([[0.1]], np.float16)}, Call({}))
    assert length is None
    assert json.loads(body)["outputs"] == [{"name": "half", "datatype": "FP32", "shape": [1, 1], "data": [0.099975586]}]


def test_bytes_that_are_no_text_have_no_answer_in_json() -> None:
    with pytest.raises(BadInput, match="ask for it in binary"):
        _encode({"image": np.array([b"\xff"], object)}, Call({}))
    assert json.loads(_encode({"text": np.array([b"a"], object)}, Call({}))[0])["outputs"][0]["data"] == ["a"]


def test_text_that_is_no_unicode_is_the_models_fault() -> None:
    with pytest.raises(Refused) as caught:
        _encode({"text": np.array(["\ud800"], object)}, Call({}))
    assert caught.value.reason is Reason.FAILED
    with pytest.raises(Refused):
        _encode({"text": np.array(["\ud800"], object)}, Call({}, binary=True))


def test_fp32_is_as_short_as_it_can_be_and_reads_as_the_same_fp32() -> None:
    values = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    body = _encode({"y": values}, Call({}))[0]
    assert np.array_equal(np.array(json.loads(body)["outputs"][0]["data"], np.float32), values)
    assert b'"data":[0.1]' in _encode({"y": np.array([0.1], np.float32)}, Call({}))[0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 1, 1)])
def test_odd_shapes_are_answered(shape: tuple[int, ...]) -> None:
    for array in (np.ones(shape), np.full(shape, "a", object), np.ones(shape, np.bool_)):
        output = json.loads(_encode({"y": array}, Call({}))[0])["outputs"][0]
        assert output["shape"] == list(shape)
        assert output["data"] == array.ravel().tolist()


def test_an_answer_need_not_lie_in_order() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    body, length = _encode({"y": array}, Call({}, binary=True))
    assert body[length:] == np.ascontiguousarray(array).tobytes()
    assert json.loads(_encode({"y": array}, Call({}))[0])["outputs"][0]["data"] == [0, 3, 1, 4, 2, 5]
