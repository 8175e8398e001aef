"""When rows are held for company."""

from __future__ import annotations

import math

import pytest

from shipway.runtime.server.engine.cost import Line
from shipway.runtime.server.engine.holding import Flow, Flows, Held, hold_until

SLOW = Line(0.0, 0.1)


def _flow(gap: float, count: int = 40, rows: int = 1, around: int = 10) -> Flow:
    """After ``count`` arrivals, the last at 0; ``around`` rows were there of late, and none is now."""
    flow = Flow()
    for number in range(count):
        flow.arrived(rows, 1, (number - count + 1) * gap)
        flow.left(rows)
    flow.rows.of_late, flow.parts.of_late, flow.free = around, around, 0.0
    return flow


def _held(flow: Flow, rows: int = 1, now: float = 0.0, max_delay: float = 1.0, **more: float) -> float:
    held = Held(rows, int(more.get("parts", rows)), 0.0, more.get("expires", math.inf))
    return hold_until(held, flow, SLOW, max_rows=64, max_delay=max_delay, now=now)


def test_a_burst_is_waited_for() -> None:
    assert _held(_flow(0.001)) > 0


@pytest.mark.parametrize("gap", [0.1, 1.0, 60.0])
def test_who_comes_rarely_is_not_held(gap: float) -> None:
    assert _held(_flow(gap)) == 0


def test_nothing_is_held_before_the_cost_is_known() -> None:
    held = Held(1, 1, 0.0, math.inf)
    assert hold_until(held, _flow(0.001), None, max_rows=64, max_delay=1.0, now=0.0) == 0
    assert hold_until(held, Flow(), SLOW, max_rows=64, max_delay=1.0, now=0.0) == 0


def test_all_are_there_when_as_many_calls_wait_as_there_ever_were_however_few_their_rows() -> None:
    assert _held(_flow(0.001), 3, parts=3) > 0
    assert _held(_flow(0.001), 3, parts=10) == 0


@pytest.mark.parametrize("rows", [10, 64, 100])
def test_when_all_are_there_they_go(rows: int) -> None:
    assert _held(_flow(0.001, around=10), rows) == 0


def test_the_longest_delay_counts_from_when_an_instance_was_free() -> None:
    flow = _flow(0.001)
    assert _held(flow, max_delay=0.002) == pytest.approx(0.002)
    flow.free = flow.last = 5.0
    assert _held(flow, now=5.0, max_delay=0.002) == pytest.approx(5.002)


def test_silence_ends_it() -> None:
    flow = _flow(0.001)
    assert _held(flow) == pytest.approx(SLOW.fixed / 2)
    flow = _flow(0.01, around=20)
    until = _held(flow)
    assert until == pytest.approx(8 * flow.gap)
    assert _held(flow, now=until) == until
    assert _held(flow, now=until + 1) == until + 1


def test_no_deadline_breaks_by_it() -> None:
    flow = _flow(0.001)
    assert _held(flow, expires=0.105) == pytest.approx(0.005)
    assert _held(flow, expires=0.1005) == 0
    assert _held(flow, expires=0.05) == 0


def test_kinds_are_apart_and_bounded() -> None:
    flows = Flows()
    flow, waits = flows.of("a"), flows.of("b")
    waits.arrived(2, 1, 0.0)
    assert flows.of("a") is flow
    for number in range(256):
        flows.of(number)
    assert flows.of("a") is not flow
    assert flows.of("b") is waits, "what waits must leave where it came"
