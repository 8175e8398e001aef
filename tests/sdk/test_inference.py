"""Users' values to bodies, and answers to values."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest

from shipway.client import Answer
from shipway.errors import UserError
from shipway.sdk.inference import body_of, value_of
from tests.cli.worlds import own_server, service

MODEL, OWN = service().to_json(), own_server().to_json()
PROTOCOL = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}


class Frame:
    """What a frame of pandas or polars has."""

    def to_numpy(self) -> Any:
        return numpy.array([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    "data, sent",
    [
        ([[1, 2]], {"input": [[1, 2]]}),
        (((1, 2), (3, 4)), {"input": [[1, 2], [3, 4]]}),
        (numpy.ones((1, 2)), {"input": [[1.0, 1.0]]}),
        ([numpy.ones(2), numpy.float32(0.5)], {"input": [[1.0, 1.0], 0.5]}),
        (Frame(), {"input": [[1, 2], [3, 4]]}),
        ({"age": numpy.array([7]), "name": ["Ada"]}, {"input": {"age": [7], "name": ["Ada"]}}),
        ({"input": numpy.ones((1, 1))}, {"input": [[1.0]]}),
        ({"instances": [[1]]}, {"instances": [[1]]}),
        (PROTOCOL, PROTOCOL),
        ("text", {"input": "text"}),
    ],
)
def test_what_a_model_gets(data: Any, sent: Any) -> None:
    assert json.loads(body_of(MODEL, data)) == sent


@pytest.mark.parametrize("data", [[1, 2], {"a": 1}, "text", None, PROTOCOL])
def test_a_server_of_the_users_own_gets_it_as_it_is(data: Any) -> None:
    assert json.loads(body_of(OWN, data)) == data


@pytest.mark.parametrize("data", [object(), [{1, 2}], numpy.array([object()])])
def test_what_json_cannot_hold(data: Any) -> None:
    with pytest.raises(UserError, match="cannot be sent as JSON"):
        body_of(MODEL, data)


@pytest.mark.parametrize(
    "of, text, value",
    [
        (MODEL, '{"output": {"digit": [7]}}', {"digit": [7]}),
        (MODEL, '{"model_name": "m", "outputs": []}', {"model_name": "m", "outputs": []}),
        (OWN, '{"output": 1}', {"output": 1}),
        (OWN, "3\n", 3),
        (OWN, "hello\n", "hello\n"),
    ],
)
def test_answers_are_values(of: Any, text: str, value: Any) -> None:
    assert value_of(of, Answer(200, text)) == value
