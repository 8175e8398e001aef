"""Plain rows at /predict."""

from __future__ import annotations

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec import rows
from shipway.runtime.server.codec.door import Door
from shipway.runtime.signature import Signature, Tensor

ONE = Signature((Tensor("x", "FP64", (-1, 2)),), (Tensor("label", "INT64", (-1,)), Tensor("p", "FP64", (-1, 3))))
TWO = Signature((Tensor("a", "FP32", (-1,)), Tensor("b", "BYTES", (-1,))))
ANY = Signature()


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
    inputs = rows.decode(text.encode(), Door(signature)).inputs
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
        ('{"input": 5}', ANY),
        ('{"input": ' + "[" * 100_000, ANY),
    ],
)
def test_bad_plain_rows(text: str, signature: Signature) -> None:
    with pytest.raises(BadInput, match="expected"):
        rows.decode(text.encode(), Door(signature))


def test_one_output_is_bare_and_several_have_names() -> None:
    assert rows.encode({"y": np.array([[1, 2]])}) == b'{"output":[[1,2]]}'
    assert rows.encode({"y": np.array([1]), "z": np.array(["a"], dtype=object)}) == b'{"output":{"y":[1],"z":["a"]}}'


FILES = Signature((Tensor("file", "BYTES", (-1,)),))
HALVES = Signature((Tensor("x", "FP16", (-1, 2)),))


def test_bytes_that_are_no_text_go_in_and_out_as_base64() -> None:
    array = rows.decode(b'{"input": ["a", {"b64": "/9g="}]}', Door(FILES)).inputs["file"]
    assert array.tolist() == ["a", b"\xff\xd8"]
    assert rows.encode({"file": array}) == b'{"output":["a",{"b64":"/9g="}]}'


def test_rows_need_not_name_a_type_so_halves_are_rounded() -> None:
    array = rows.decode(b'{"input": [[0.1, 65504]]}', Door(HALVES)).inputs["x"]
    assert array.dtype == np.float16
    assert rows.encode({"x": array}) == b'{"output":[[0.099975586,65504.0]]}'
    with pytest.raises(BadInput, match="not FP16"):
        rows.decode(b'{"input": [[65520, 1]]}', Door(HALVES))
