"""The gate's verdicts, with their numbers in words."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.jobs import judge
from shipway.kinds import Evaluate


def gate(**fields: Any) -> Evaluate:
    return Evaluate.model_validate({"metric": "accuracy", **fields})


def test_without_a_gate_everything_may_pass() -> None:
    verdict = judge(None, {})
    assert (verdict.gate, verdict.promoted) == ("none", True)


@pytest.mark.parametrize(
    ("evaluate", "metrics", "rival", "passed", "reason"),
    [
        (gate(min=0.9), {"accuracy": 0.95}, None, True, "accuracy 0.95, at least 0.9"),
        (gate(min=0.9), {"accuracy": 0.9}, None, True, "accuracy 0.9, at least 0.9"),
        (gate(min=0.9), {"accuracy": 0.89}, None, False, "accuracy 0.89 is below the minimum 0.9"),
        (gate(max=0.5), {"accuracy": 0.6}, None, False, "accuracy 0.6 is above the maximum 0.5"),
        (gate(min=0.9), {"loss": 1.0}, None, False, "the run logged no metric 'accuracy' (logged: loss)"),
        (gate(min=0.9), {}, None, False, "the run logged no metric 'accuracy' (logged: none)"),
        (gate(min=0.9), {"accuracy": float("nan")}, None, False, "accuracy is not a number (NaN)"),
        (gate(notWorseThan="champion"), {"accuracy": 0.1}, None, True, "accuracy 0.1"),
        (
            gate(notWorseThan="champion"),
            {"accuracy": 0.96},
            {"accuracy": 0.95},
            True,
            "accuracy 0.96, not worse than 0.95 of m:1",
        ),
        (
            gate(notWorseThan="champion"),
            {"accuracy": 0.94},
            {"accuracy": 0.95},
            False,
            "accuracy 0.94 is worse than 0.95 of m:1",
        ),
        (
            gate(notWorseThan="champion", goal="minimize"),
            {"accuracy": 0.96},
            {"accuracy": 0.95},
            False,
            "accuracy 0.96 is worse than 0.95 of m:1",
        ),
        (
            gate(notWorseThan="champion"),
            {"accuracy": 0.5},
            {"other": 1.0},
            True,
            "accuracy 0.5",
        ),
        (gate(min=0.1), {"accuracy": 0.5}, {"accuracy": 1.0}, True, "accuracy 0.5, at least 0.1"),
    ],
)
def test_verdicts(
    evaluate: Evaluate, metrics: dict[str, float], rival: dict[str, float] | None, passed: bool, reason: str
) -> None:
    verdict = judge(evaluate, metrics, "m:1", rival)
    assert (verdict.promoted, verdict.reason) == (passed, reason)


def test_every_failure_is_told() -> None:
    verdict = judge(gate(min=0.9, notWorseThan="champion"), {"accuracy": 0.5}, "m:1", {"accuracy": 0.8})
    assert verdict.reason == "accuracy 0.5 is below the minimum 0.9; accuracy 0.5 is worse than 0.8 of m:1"
