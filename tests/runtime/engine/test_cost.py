"""The line that is learned, with noise as clocks have it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.server.engine.cost import Cost, Costs, Line


def _learned(per_row: float, fixed: float, seed: int, spikes: float = 0.1) -> Line:
    draw, cost = random.Random(seed), Cost()
    for _ in range(300):
        rows = draw.choice((1, 1, 2, 5, 8, 17, 30, 64))
        noise = draw.uniform(0.95, 1.1) * (draw.uniform(2, 100) if draw.random() < spikes else 1)
        cost.observe(rows, (per_row * rows + fixed) * noise)
        line = cost.line
    assert line is not None
    return line


@given(st.floats(1e-6, 1e-2), st.floats(1e-5, 1e-1), st.integers(0, 100))
def test_the_line_is_found_in_spite_of_spikes(per_row: float, fixed: float, seed: int) -> None:
    line = _learned(per_row, fixed, seed)
    for rows in (1, 8, 64):
        assert line.seconds(rows) == pytest.approx(per_row * rows + fixed, rel=0.35)


def test_a_model_that_becomes_slower_is_noticed() -> None:
    cost = Cost()
    for seconds in [0.001] * 200 + [0.01] * 10:
        cost.observe(4, seconds)
    for _ in range(17):
        cost.observe(4, 0.01)
        line = cost.line
    assert line == Line(0.0, 0.01)


def test_nothing_is_less_than_nothing() -> None:
    falling, steep = Cost(), Cost()
    for rows in (1, 64):
        falling.observe(rows, 1.0 / rows)
        steep.observe(rows, rows**2 / 1000)
    assert falling.line is not None
    assert falling.line.per_row == 0
    assert steep.line is not None
    assert steep.line.fixed == 0


def test_before_the_first_batch_nothing_is_known() -> None:
    costs = Costs()
    assert (costs.line("a"), costs.learned) == (None, False)
    costs.observe("b", 2, 0.5)
    assert (costs.line("a"), costs.learned) == (Line(0.0, 0.5), True)


def test_kinds_are_learned_apart_and_bounded() -> None:
    costs = Costs()
    for number in range(1000):
        costs.observe(number, 1, float(number + 1))
    assert costs.line(999) == pytest.approx(Line(0.0, 1000.0))
    assert costs.line(0) != pytest.approx(Line(0.0, 1.0))
    assert len(costs._costs) == 256


@pytest.mark.parametrize(("rows", "calls", "seconds"), [(0, 1, 2.0), (1, 1, 3.0), (4, 1, 6.0), (5, 2, 9.0)])
def test_each_call_has_its_fixed_part(rows: int, calls: int, seconds: float) -> None:
    assert Line(1.0, 2.0).seconds(rows, calls) == seconds
