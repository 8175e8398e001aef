"""TensorFlow Serving's predict request and its answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec import v1
from shipway.runtime.server.codec.door import Door
from shipway.runtime.signature import Signature, Tensor

ONE = Door(Signature((Tensor("x", "FP32", (-1, 2)),)))
TWO = Door(Signature((Tensor("a", "FP32", (-1,)), Tensor("b", "BYTES", (-1,)))))
FILES = Door(Signature((Tensor("file", "BYTES", (-1,)),)))


@pytest.mark.parametrize(
    ("body", "door", "inputs", "columns"),
    [
        ({"instances": [[1, 2], [3, 4]]}, ONE, {"x": [[1, 2], [3, 4]]}, False),
        ({"instances": [{"x": [1, 2]}]}, ONE, {"x": [[1, 2]]}, False),
        ({"inputs": [[1, 2]]}, ONE, {"x": [[1, 2]]}, True),
        ({"inputs": {"x": [[1, 2]]}}, ONE, {"x": [[1, 2]]}, True),
        ({"instances": [{"a": 1, "b": "u"}, {"a": 2, "b": "v"}]}, TWO, {"a": [1, 2], "b": ["u", "v"]}, False),
        ({"inputs": {"a": [1], "b": ["u"]}}, TWO, {"a": [1], "b": ["u"]}, True),
        ({"inputs": {"a": [1], "b": [{"b64": "/9g="}]}}, TWO, {"a": [1], "b": [b"\xff\xd8"]}, True),
        ({"instances": [{"b64": "/9g="}, {"b64": "YQ=="}]}, FILES, {"file": [b"\xff\xd8", "a"]}, False),
        ({"instances": [{"file": {"b64": "/9g="}}]}, FILES, {"file": [b"\xff\xd8"]}, False),
        ({"instances": ["a", {"b64": "/9g="}]}, FILES, {"file": ["a", b"\xff\xd8"]}, False),
        ({"inputs": {"b64": "/9g="}}, FILES, {"file": [b"\xff\xd8"]}, True),
        ({"signature_name": "serving_default", "instances": [[1, 2]]}, ONE, {"x": [[1, 2]]}, False),
        ({"signature_name": "", "instances": [[1, 2]], "future": 1}, ONE, {"x": [[1, 2]]}, False),
    ],
)
def test_rows_and_columns(body: object, door: Door, inputs: object, columns: bool) -> None:
    call = v1.decode(json.dumps(body).encode(), door)
    assert {name: array.tolist() for name, array in call.inputs.items()} == inputs
    assert call.columns is columns


@pytest.mark.parametrize(
    ("body", "door", "problem"),
    [
        ({}, ONE, "either"),
        ({"instances": [[1, 2]], "inputs": [[1, 2]]}, ONE, "either"),
        ({"instances": [[1, 2]], "signature_name": "other"}, ONE, "there is only 'serving_default'"),
        ({"instances": [[1, 2]], "signature_name": 5}, ONE, "signature_name"),
        ({"instances": [[1, 2, 3]]}, ONE, "rows have shape"),
        ({"instances": [{"b64": "not base64"}]}, FILES, "BYTES"),
        ({"instances": [{"b64": "YQ==", "more": 1}]}, FILES, "unknown input"),
        ({"instances": [{"b64": 5}]}, FILES, "BYTES"),
        ({"instances": [{"b64": "YQ=="}]}, ONE, "FP32"),
        ({"instances": [["a", {"b64": "YQ=="}], ["b"]]}, FILES, "BYTES"),
    ],
)
def test_bad_requests(body: object, door: Door, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        v1.decode(json.dumps(body).encode(), door)
    assert 'expected {"instances": rows} or {"inputs": columns} with inputs: ' in str(caught.value)


LABEL, PAIRS = np.array([3, 4]), np.array([[0.25, 1], [0.5, 2]], np.float32)


@pytest.mark.parametrize(
    ("outputs", "columns", "expected"),
    [
        ({"label": LABEL}, False, {"predictions": [3, 4]}),
        ({"p": PAIRS}, False, {"predictions": [[0.25, 1], [0.5, 2]]}),
        (
            {"label": LABEL, "p": PAIRS},
            False,
            {"predictions": [{"label": 3, "p": [0.25, 1]}, {"label": 4, "p": [0.5, 2]}]},
        ),
        ({"label": LABEL}, True, {"outputs": [3, 4]}),
        ({"label": LABEL, "p": PAIRS}, True, {"outputs": {"label": [3, 4], "p": [[0.25, 1], [0.5, 2]]}}),
        ({"t": np.array([b"\xff", b"a", "ü"], object)}, False, {"predictions": [{"b64": "/w=="}, "a", "ü"]}),
        ({"h": np.array([0.5, np.nan], np.float16)}, False, {"predictions": [0.5, None]}),
        ({"mean": np.array(1.5)}, True, {"outputs": 1.5}),
    ],
)
def test_answers(outputs: dict[str, Array], columns: bool, expected: object) -> None:
    assert json.loads(v1.encode(outputs, Call({}, columns=columns))) == expected


@pytest.mark.parametrize("other", [np.array(1.5), np.array([1, 2, 3])])
def test_outputs_without_the_same_rows_are_asked_by_columns(other: Array) -> None:
    with pytest.raises(BadInput, match='do not have the same rows: ask with "inputs"'):
        v1.encode({"label": LABEL, "other": other}, Call({}))
