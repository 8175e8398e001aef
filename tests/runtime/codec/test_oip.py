"""Bodies of requests, good and bad, in the protocol's form and as plain rows."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call
from shipway.runtime.server.codec import oip, rows
from shipway.runtime.signature import Signature, Tensor

ONE = Signature((Tensor("x", "FP64", (-1, 2)),), (Tensor("label", "INT64", (-1,)), Tensor("p", "FP64", (-1, 3))))
TWO = Signature((Tensor("a", "FP32", (-1,)), Tensor("b", "BYTES", (-1,))))
ANY = Signature()


def _body(*, id: object = None, outputs: object = None, **input_: object) -> bytes:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]} | input_
    document = {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}
    extra = {"id": id, "outputs": outputs}
    return json.dumps(document | {key: value for key, value in extra.items() if value is not None}).encode()


def test_a_request_of_the_protocol() -> None:
    call = oip.decode(_body(id="abc", outputs=[{"name": "p"}, {"name": "p"}]), ONE)
    assert call.inputs["x"].tolist() == [[1.0, 2.0]]
    assert call.wanted == ("p",)
    assert call.id == "abc"


def test_a_narrower_type_is_widened() -> None:
    assert oip.decode(_body(datatype="INT32"), ONE).inputs["x"].dtype == np.float64


def test_without_a_signature_anything_goes() -> None:
    call = oip.decode(_body(name="z", shape=[2], datatype="INT64"), ANY)
    assert call.inputs["z"].tolist() == [1, 2]


def test_unknown_fields_and_parameters_are_passed_over() -> None:
    body = json.loads(_body(parameters={"a": 1, "b": "x", "c": True, "d": 1.5}))
    assert oip.decode(json.dumps(body | {"future": [1]}).encode(), ONE).inputs.keys() == {"x"}


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
        (_body(data=None, parameters={"binary_data_size": 16}), "no data"),
        (_body(parameters={"a": [1]}), "parameters"),
        (_body(outputs=[{"name": "nope"}]), "unknown output 'nope'"),
        (json.dumps({"inputs": json.loads(_body())["inputs"] * 2}).encode(), "repeated input 'x'"),
    ],
)
def test_a_bad_request_is_told_what_is_expected(body: bytes, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        oip.decode(body, ONE)
    assert "expected inputs: x FP64 [-1, 2]; outputs: label INT64 [-1], p FP64 [-1, 3]" in str(caught.value)


def test_all_inputs_have_the_same_rows() -> None:
    inputs = [
        {"name": "a", "datatype": "FP32", "shape": [2], "data": [1, 2]},
        {"name": "b", "datatype": "BYTES", "shape": [1], "data": ["x"]},
    ]
    with pytest.raises(BadInput, match="different numbers of rows"):
        oip.decode(json.dumps({"inputs": inputs}).encode(), TWO)
    with pytest.raises(BadInput, match="missing input 'b'"):
        oip.decode(json.dumps({"inputs": inputs[:1]}).encode(), TWO)


def test_the_response_is_flat_and_exact() -> None:
    call = Call({}, id="7")
    outputs = {
        "big": np.array([[2**63 - 1]], np.int64),
        "nan": np.array([np.nan, np.inf, 0.1]),
        "text": np.array(["ü"], dtype=object),
    }
    body = json.loads(oip.encode(outputs, call, model="m", version="3"))
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
    assert "id" not in json.loads(oip.encode(outputs, Call({}), model="m", version="3"))


@pytest.mark.parametrize(
    ("text", "signature", "expected"),
    [
        ('{"input": [[1, 2], [3, 4]]}', ONE, {"x": [[1, 2], [3, 4]]}),
        ('{"instances": [[1, 2]]}', ONE, {"x": [[1, 2]]}),
        ('{"input": [1, 2]}', ONE, {"x": [[1, 2]]}),
        ('{"input": {"x": [[1, 2]]}}', ONE, {"x": [[1, 2]]}),
        ('{"input": [{"x": [1, 2]}, {"x": [3, 4]}]}', ONE, {"x": [[1, 2], [3, 4]]}),
        ('{"input": [{"a": 1, "b": "u"}, {"b": "v", "a": 2}]}', TWO, {"a": [1, 2], "b": ["u", "v"]}),
        ('{"input": {"a": [1], "b": ["u"]}}', TWO, {"a": [1], "b": ["u"]}),
        ('{"input": [1, 2]}', ANY, {"input": [1, 2]}),
        ('{"input": ["a"]}', ANY, {"input": ["a"]}),
        ('{"input": [[true]]}', ANY, {"input": [[True]]}),
        ('{"input": [1, 2.5]}', ANY, {"input": [1, 2.5]}),
    ],
)
def test_plain_rows(text: str, signature: Signature, expected: dict[str, object]) -> None:
    inputs = rows.decode(text.encode(), signature).inputs
    assert {name: array.tolist() for name, array in inputs.items()} == expected


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("", ONE),
        ("[]", ONE),
        ("{}", ONE),
        ('{"input": [[1, 2]], "instances": [[1, 2]]}', ONE),
        ('{"input": []}', ONE),
        ('{"input": 5}', ONE),
        ('{"input": null}', ONE),
        ('{"input": [[1, 2], [3]]}', ONE),
        ('{"input": [[1, 2, 3]]}', ONE),
        ('{"input": [["a", "b"]]}', ONE),
        ('{"input": {"y": [[1, 2]]}}', ONE),
        ('{"input": {}}', ONE),
        ('{"input": [{}]}', ONE),
        ('{"input": [[1, 2]]}', TWO),
        ('{"input": [{"a": 1, "b": "u"}, {"a": 2}]}', TWO),
        ('{"input": [{"a": 1, "b": "u"}, 3]}', TWO),
        ('{"input": {"a": [1, 2], "b": ["u"]}}', TWO),
        ('{"input": [1, "a"]}', ANY),
        ('{"input": [true, 1]}', ANY),
        ('{"input": {}}', ANY),
        ('{"input": ' + "[" * 100_000, ANY),
    ],
)
def test_bad_plain_rows(text: str, signature: Signature) -> None:
    with pytest.raises(BadInput, match="expected"):
        rows.decode(text.encode(), signature)


def test_one_output_is_bare_and_several_have_names() -> None:
    assert rows.encode({"y": np.array([[1, 2]])}) == b'{"output":[[1,2]]}'
    assert rows.encode({"y": np.array([1]), "z": np.array(["a"], dtype=object)}) == b'{"output":{"y":[1],"z":["a"]}}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["inputs", "input", "name", "shape", "datatype", "data", "x"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([ONE, TWO, ANY]))
def test_no_json_makes_more_than_a_bad_input(document: object, signature: Signature) -> None:
    for body in (document, {"inputs": [document]}, {"input": document}):
        for codec in (oip, rows):
            with contextlib.suppress(BadInput):
                codec.decode(json.dumps(body).encode(), signature)


@given(st.binary(max_size=60))
def test_no_bytes_make_more_than_a_bad_input(body: bytes) -> None:
    for codec in (oip, rows):
        with contextlib.suppress(BadInput):
            codec.decode(body, ANY)
