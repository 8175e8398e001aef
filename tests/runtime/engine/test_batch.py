"""Joined calls come apart again, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.batch import cut, divisible, join, key_of, reunite, share, whole
from shipway.runtime.server.refusals import Refused

KINDS = st.sampled_from(["f4", "f8", "i8", "?", "O"])
TRAILING = st.sampled_from([(), (3,), (2, 2)])


def _array(rows: int, kind: str, trailing: tuple[int, ...], start: int) -> Array:
    values = np.arange(start, start + rows * int(np.prod(trailing))).reshape(rows, *trailing)
    return values.astype(str).astype(object) if kind == "O" else values.astype(kind)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), KINDS, TRAILING, KINDS)
def test_every_call_gets_its_own_rows_back(rows: list[int], kind: str, trailing: tuple[int, ...], other: str) -> None:
    starts = np.cumsum([0, *rows]) * 7
    calls = [
        Call({"a": _array(count, kind, trailing, start), "b": _array(count, other, (), start)})
        for count, start in zip(rows, starts, strict=False)
    ]
    assert len({key_of(call) for call in calls}) == 1
    together = whole(join(calls))
    assert together.rows == sum(rows)
    answers = share(Answer(together.inputs, together.rows, 0.5), rows)
    for call, answer in zip(calls, answers, strict=True):
        assert answer.rows == call.rows
        for name, array in call.inputs.items():
            assert answer.outputs[name].dtype == array.dtype
            assert np.array_equal(answer.outputs[name], array)


@given(st.integers(1, 50), st.integers(2, 16), KINDS, TRAILING)
def test_a_call_that_is_cut_comes_together_again(
    rows: int, max_rows: int, kind: str, trailing: tuple[int, ...]
) -> None:
    call = Call({"a": _array(rows, kind, trailing, 1)}, wanted=("a",), parameters={"p": 1})
    pieces = cut(call, rows, max_rows)
    assert all(1 <= piece.rows <= max_rows and key_of(piece) == key_of(call) for piece in pieces)
    again = reunite([Answer(piece.inputs, piece.rows, 0.25) for piece in pieces])
    assert np.array_equal(again.outputs["a"], call.inputs["a"])
    assert (again.rows, again.seconds) == (rows, 0.25 * len(pieces))


@pytest.mark.parametrize(
    "other",
    [
        Call({"x": np.zeros((1, 3), "f8")}),
        Call({"x": np.zeros((1, 2), "f4")}),
        Call({"x": np.zeros((1, 2), ">f8")}),
        Call({"x": np.zeros(1)}),
        Call({"y": np.zeros((1, 2))}),
        Call({"x": np.zeros((1, 2)), "y": np.zeros(1)}),
        Call({"x": np.zeros((1, 2))}, wanted=("y",)),
        Call({"x": np.zeros((1, 2))}, parameters={"top": 1}),
    ],
)
def test_what_differs_does_not_go_together(other: Call) -> None:
    assert key_of(other) != key_of(Call({"x": np.zeros((1, 2))}))


def test_parameters_that_python_takes_for_equal_differ() -> None:
    values: list[int | float | bool | str] = [1, 1.0, True, "1"]
    assert len({key_of(Call({"x": np.zeros((1, 2))}, parameters={"p": value})) for value in values}) == 4
    one, other = ({"p": 1, "q": 2}, {"q": 2, "p": 1})
    assert key_of(Call({}, parameters=one)) == key_of(Call({}, parameters=other))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 3)], True),
        ([(2, 3), (2,)], True),
        ([(0, 3)], False),
        ([()], False),
        ([(2, 3), ()], False),
        ([(2, 3), (3, 3)], False),
        ([(1, 3), (3, 3)], False),
        ([], False),
    ],
)
def test_what_can_be_joined_and_cut(shapes: list[tuple[int, ...]], expected: bool) -> None:
    assert divisible(Call({str(number): np.zeros(shape) for number, shape in enumerate(shapes)})) is expected


@pytest.mark.parametrize("output", [np.zeros((4, 2)), np.zeros((6, 2)), np.zeros(()), np.zeros((1, 5))])
def test_an_output_with_other_rows_is_the_models_fault(output: Array) -> None:
    with pytest.raises(Refused, match="must be the 5 rows of the batch"):
        share(Answer({"y": output}), [2, 3])


def test_pieces_that_do_not_fit_are_the_models_fault() -> None:
    with pytest.raises(Refused, match="do not fit together"):
        reunite([Answer({"y": np.zeros((2, 3))}), Answer({"y": np.zeros((2, 4))})])
    with pytest.raises(Refused, match="do not fit together"):
        reunite([Answer({"y": np.zeros(2)}), Answer({"z": np.zeros(2)})])


def test_one_call_stays_as_it_is() -> None:
    call = Call({"x": np.zeros((1, 2))})
    assert join([call]) is call
    assert whole(call) is call


def test_outputs_are_views() -> None:
    outputs = np.zeros((5, 2))
    assert all(np.shares_memory(one.outputs["y"], outputs) for one in share(Answer({"y": outputs}), [2, 3]))
