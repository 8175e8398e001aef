"""What one run of a load against one server found. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """``p50`` and ``p99`` in milliseconds. ``wrong``: answers that are not the model's; ``failed``: no answer."""

    requests: int
    seconds: float
    p50: float
    p99: float
    wrong: int = 0
    failed: int = 0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of them do not exceed; NaN of none (nearest rank)."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(samples: Sequence[Sample]) -> Sample:
    """The median of rounds, each figure by itself; the counts of mistakes are summed up."""
    return Sample(
        requests=round(statistics.median(one.requests for one in samples)),
        seconds=statistics.median(one.seconds for one in samples),
        p50=statistics.median(one.p50 for one in samples),
        p99=statistics.median(one.p99 for one in samples),
        wrong=sum(one.wrong for one in samples),
        failed=sum(one.failed for one in samples),
    )


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median: how far the rounds lie apart."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
