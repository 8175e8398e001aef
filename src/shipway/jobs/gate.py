"""The gate: may this version become champion?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shipway.kinds import Evaluate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says: the numbers in words, and as they are (none without a gate)."""

    gate: Literal["passed", "failed", "none"]
    reason: str
    data: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def promoted(self) -> bool:
        return self.gate != "failed"


def judge(
    evaluate: Evaluate | None,
    metrics: Mapping[str, float],
    rival_name: str = "",
    rival: Mapping[str, float] | None = None,
) -> Verdict:
    """Judge a version's metrics against the bounds and, with ``notWorseThan``, against a rival version's.

    ``rival`` is None when there is no such version yet: the first version has nobody to be worse than.
    """
    if evaluate is None:
        return Verdict("none", "no gate is declared")
    return replace(
        _judge(evaluate, metrics, rival_name, rival), data=_numbers(evaluate, metrics, rival_name, rival or {})
    )


def _judge(
    evaluate: Evaluate, metrics: Mapping[str, float], rival_name: str, rival: Mapping[str, float] | None
) -> Verdict:
    name = evaluate.metric
    value = metrics.get(name)
    if value is None:
        logged = ", ".join(sorted(metrics)) or "none"
        return Verdict("failed", f"the run logged no metric {name!r} (logged: {logged})")
    if math.isnan(value):
        return Verdict("failed", f"{name} is not a number (NaN)")
    failures = [*_bounds(evaluate, value), *_comparison(evaluate, value, rival_name, rival)]
    if failures:
        return Verdict("failed", "; ".join(failures))
    bounds = [f"at least {evaluate.min:g}"] if evaluate.min is not None else []
    bounds += [f"at most {evaluate.max:g}"] if evaluate.max is not None else []
    compared = evaluate.not_worse_than is not None and rival is not None and name in rival
    bounds += [f"not worse than {rival[name]:g} of {rival_name}"] if rival is not None and compared else []
    return Verdict("passed", ", ".join([f"{name} {value:g}", *bounds]))


def _numbers(
    evaluate: Evaluate, metrics: Mapping[str, float], rival_name: str, rival: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "metric": evaluate.metric,
        "value": metrics.get(evaluate.metric),
        "min": evaluate.min,
        "max": evaluate.max,
        "goal": evaluate.goal,
        "rival": rival_name or None,
        "rivalValue": rival.get(evaluate.metric),
    }


def _bounds(evaluate: Evaluate, value: float) -> list[str]:
    found = []
    if evaluate.min is not None and value < evaluate.min:
        found.append(f"{evaluate.metric} {value:g} is below the minimum {evaluate.min:g}")
    if evaluate.max is not None and value > evaluate.max:
        found.append(f"{evaluate.metric} {value:g} is above the maximum {evaluate.max:g}")
    return found


def _comparison(evaluate: Evaluate, value: float, rival_name: str, rival: Mapping[str, float] | None) -> list[str]:
    if evaluate.not_worse_than is None or rival is None or evaluate.metric not in rival:
        return []
    best = rival[evaluate.metric]
    worse = value < best if evaluate.goal == "maximize" else value > best
    return [f"{evaluate.metric} {value:g} is worse than {best:g} of {rival_name}"] if worse else []
