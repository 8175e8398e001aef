"""How often values fell where: a Prometheus histogram as two plain fields. Lives on one thread, so it needs no lock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """Counts by bucket (``bounds`` are inclusive upper ends; one more bucket is above them all) and the sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        """Suffix, labels and value of each line of the exposition."""
        totals = list(accumulate(self.counts))
        for bound, total in zip((*map(str, self.bounds), "+Inf"), totals, strict=True):
            yield "_bucket", {"le": bound}, total
        yield "_sum", {}, self.sum
        yield "_count", {}, totals[-1]
