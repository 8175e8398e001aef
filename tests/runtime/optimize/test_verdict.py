"""Taken or not, and why."""

from __future__ import annotations

from shipway.runtime.optimize.compare import Difference, Tolerance
from shipway.runtime.optimize.measure import Timing
from shipway.runtime.optimize.verdict import judge

SAME = Difference("label", 100, 0)
FASTER, SLOWER = Timing(1, 10e-6, 2e-6), Timing(64, 10e-6, 20e-6)


def test_the_same_and_faster_is_taken() -> None:
    verdict = judge([SAME], [FASTER, Timing(64, 9e-6, 3e-6)], Tolerance())
    assert verdict.taken
    assert verdict.reason == "taken: 3.0 times as fast or more, and the same answers to 100 recorded rows"
    assert round(verdict.gain, 6) == 3.0


def test_other_answers_are_never_taken() -> None:
    verdict = judge([SAME, Difference("score", 100, 3, 0.25)], [FASTER], Tolerance())
    assert not verdict.taken
    assert verdict.reason == "kept the original: the answers differ (score: 3 of 100 rows differ, at most 0.25 apart)"
    assert judge([Difference("score", 100, 3, 0.25)], [FASTER], Tolerance(share=0.03)).taken


def test_one_size_that_loses_is_enough_to_stay() -> None:
    verdict = judge([SAME], [FASTER, SLOWER], Tolerance())
    assert not verdict.taken
    assert verdict.reason == (
        "kept the original: nothing is gained (5.00 times as fast with 1 rows, 0.50 times as fast with 64 rows)"
    )
    assert not judge([SAME], [], Tolerance()).taken


def test_the_numbers_are_kept() -> None:
    document = judge([Difference("y", 4, 4, problem="it is missing")], [FASTER], Tolerance()).to_json()
    assert document["differences"] == [
        {"output": "y", "rows": 4, "differing": 4, "largest": 0.0, "problem": "it is missing"}
    ]
    assert document["seconds"] == [{"rows": 1, "original": 10e-6, "optimized": 2e-6}]
