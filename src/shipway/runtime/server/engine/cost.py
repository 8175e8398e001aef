"""What a call of the model costs, learned from its own batches: seconds = a * rows + b. Pure.

Source of the idea: BentoML's dispatcher, which fits the same line by least squares over its last 50 batches. There one
slow call (a page fault, a neighbour) bends the line; here a median stands between the clock and the fit.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

_SAMPLES = 15  # of each size that are remembered; their median moves after eight
_KEYS = 256  # a caller who sends a new shape each time must not fill the memory
_FADING = 64  # batches after which a size that is not seen any more counts half


class Line(NamedTuple):
    """``per_row`` and ``fixed`` are seconds, never negative."""

    per_row: float
    fixed: float

    def seconds(self, rows: int, calls: int = 1) -> float:
        """What so many rows cost in so many calls."""
        return self.per_row * rows + self.fixed * calls


UNKNOWN = Line(0.0, 0.0)


class Cost:
    """The line of one kind of call. Rows are sorted into sizes 1, 2-3, 4-7, ...; each size gives one point."""

    def __init__(self) -> None:
        self._sizes: dict[int, _Size] = {}
        self._seen = 0
        self._fitted = 0
        self._line: Line | None = None

    def observe(self, rows: int, seconds: float) -> None:
        """A batch took so long."""
        bucket = rows.bit_length()
        size = self._sizes.get(bucket)
        if size is None:
            size = self._sizes[bucket] = _Size()
        self._seen += 1
        size.rows.append(rows)
        size.seconds.append(seconds)
        size.last = self._seen

    @property
    def line(self) -> Line | None:
        """None before the first batch. Fitted anew after every quarter more batches, at the latest after 16."""
        if self._seen - self._fitted > min(16, self._fitted // 4):
            self._line = _fit([size.point(self._seen) for size in self._sizes.values()])
            self._fitted = self._seen
        return self._line


class Costs:
    """The lines of all kinds of calls of one model. A kind that was never seen costs what the others do."""

    def __init__(self) -> None:
        self._costs: dict[object, Cost] = {}
        self._any = Cost()

    def observe(self, key: object, rows: int, seconds: float) -> None:
        """A batch of that kind took so long."""
        cost = self._costs.get(key)
        if cost is None:
            if len(self._costs) >= _KEYS:
                del self._costs[next(iter(self._costs))]
            cost = self._costs[key] = Cost()
        cost.observe(rows, seconds)
        self._any.observe(rows, seconds)

    @property
    def learned(self) -> bool:
        """Whether any batch was seen."""
        return bool(self._costs)

    def line(self, key: object) -> Line | None:
        """None before the first batch of any kind."""
        cost = self._costs.get(key)
        return self._any.line if cost is None else cost.line


class _Size:
    __slots__ = ("last", "rows", "seconds")

    def __init__(self) -> None:
        self.rows: deque[int] = deque(maxlen=_SAMPLES)
        self.seconds: deque[float] = deque(maxlen=_SAMPLES)
        self.last = 0

    def point(self, seen: int) -> tuple[float, float, float]:
        """Rows, seconds, weight: what matters is the relative error, and what is not seen any more fades."""
        middle = len(self.rows) // 2
        rows, seconds = sorted(self.rows)[middle], sorted(self.seconds)[middle]
        return rows, seconds, 1 / (1 + (seen - self.last) / _FADING) / max(seconds, 1e-9) ** 2


def _fit(points: list[tuple[float, float, float]]) -> Line:
    """Weighted least squares; where it says that rows or calls are worth less than nothing, that part is zero.

    One size alone cannot tell the two apart: all is taken as fixed, which the next larger batch corrects.
    """
    total = sum(weight for _, _, weight in points)
    mean_rows = sum(rows * weight for rows, _, weight in points) / total
    mean_seconds = sum(seconds * weight for _, seconds, weight in points) / total
    spread = sum(weight * (rows - mean_rows) ** 2 for rows, _, weight in points)
    if not spread:
        return Line(0.0, mean_seconds)
    per_row = sum(weight * (rows - mean_rows) * (seconds - mean_seconds) for rows, seconds, weight in points) / spread
    fixed = mean_seconds - per_row * mean_rows
    if per_row < 0:
        return Line(0.0, mean_seconds)
    if fixed < 0:
        squares = sum(weight * rows * rows for rows, _, weight in points)
        return Line(sum(weight * rows * seconds for rows, seconds, weight in points) / squares, 0.0)
    return Line(per_row, fixed)
