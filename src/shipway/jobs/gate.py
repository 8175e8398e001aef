"""The gate: may this version become champion?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shipway.kinds import Evaluate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and the numbers in words."""

    gate: Literal["passed", "failed", "none"]
    reason: str

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
    against = f", not worse than {rival_name}" if rival is not None and evaluate.not_worse_than else ""
    return Verdict("passed", f"{name} {value:g}{against}")


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
