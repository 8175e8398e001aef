"""Which parts of a stretch of memory are taken. Pure."""

from __future__ import annotations

from bisect import bisect_left

GRAIN = 64  # bytes: a cache line, and what vector instructions like best


def rounded(size: int) -> int:
    """The next multiple of the grain."""
    return -(-size // GRAIN) * GRAIN


class Spans:
    """First fit, so that what is taken lies at the low end and the high end can be given back to the system."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: list[tuple[int, int]] = [(0, size)]  # start, end: in order, never touching
        self._taken: dict[int, int] = {}

    @property
    def end(self) -> int:
        """Nothing from here on is taken."""
        start, end = self._free[-1] if self._free else (self.size, 0)
        return start if end == self.size else self.size

    def take(self, size: int) -> int | None:
        """Where ``size`` bytes (a multiple of the grain, above 0) are taken now; None where no gap is large enough."""
        for index, (start, end) in enumerate(self._free):
            if end - start >= size:
                if end - start == size:
                    del self._free[index]
                else:
                    self._free[index] = (start + size, end)
                self._taken[start] = start + size
                return start
        return None

    def give(self, start: int) -> None:
        """The inverse of :meth:`take`. Raises KeyError for what is not taken."""
        self._insert(start, self._taken.pop(start))

    def grow(self, size: int) -> None:
        """There is more memory at the end."""
        self._insert(self.size, size)
        self.size = size

    def _insert(self, start: int, end: int) -> None:
        index = bisect_left(self._free, (start, end))
        if index < len(self._free) and self._free[index][0] == end:
            end = self._free.pop(index)[1]
        if index and self._free[index - 1][1] == start:
            index -= 1
            start = self._free.pop(index)[0]
        self._free.insert(index, (start, end))
