"""Whether the optimized form is taken, and why: one sentence, and the numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shipway.runtime.optimize.compare import Difference, Tolerance
from shipway.runtime.optimize.measure import Timing

WORTH_IT = 1.05  # times as fast: less is noise, and a second file to look after


@dataclass(frozen=True, slots=True)
class Verdict:
    """``gain`` is the least of all timings, so that no size of request loses."""

    taken: bool
    reason: str
    differences: tuple[Difference, ...]
    timings: tuple[Timing, ...]

    @classmethod
    def kept(cls, why: str) -> Verdict:
        """Nothing was compared."""
        return cls(False, f"kept the original: {why}", (), ())

    @property
    def gain(self) -> float:
        """How many times as fast, at the least; 0 when nothing was timed."""
        return min((one.gain for one in self.timings), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, for ``optimization.json``."""
        return {
            "taken": self.taken,
            "reason": self.reason,
            "differences": [
                {
                    "output": one.output,
                    "rows": one.rows,
                    "differing": one.differing,
                    "largest": one.largest,
                    **({"problem": one.problem} if one.problem else {}),
                }
                for one in self.differences
            ],
            "seconds": [
                {"rows": one.rows, "original": one.original, "optimized": one.optimized} for one in self.timings
            ],
        }


def judge(differences: Sequence[Difference], timings: Sequence[Timing], tolerance: Tolerance) -> Verdict:
    """Same answers first, then speed."""
    apart = [one for one in differences if not one.within(tolerance)]
    gain = min((one.gain for one in timings), default=0.0)
    rows = max((one.rows for one in differences), default=0)
    if apart:
        reason = f"kept the original: the answers differ ({'; '.join(map(str, apart))})"
    elif gain < WORTH_IT:
        speeds = ", ".join(f"{one.gain:.2f} times as fast with {one.rows} rows" for one in timings)
        reason = f"kept the original: nothing is gained ({speeds})"
    else:
        reason = f"taken: {gain:.1f} times as fast or more, and the same answers to {rows} recorded rows"
    return Verdict(not apart and gain >= WORTH_IT, reason, tuple(differences), tuple(timings))
