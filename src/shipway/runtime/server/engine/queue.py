"""What waits, in the order in which it runs. Pure: times are arguments.

Earliest deadline first. A call without a deadline counts as if it had one, ``patience`` after it came; so what came
earlier is overtaken only by what is more urgent, for a bounded time, and no kind of call starves.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from shipway.runtime.server.calls import Call
from shipway.runtime.server.engine.batch import Key
from shipway.runtime.server.engine.cost import Line


class Part(Struct, eq=False):
    """A call, or a piece of a large one (``place`` says which), that waits or runs. ``alone``: it never goes with
    others; ``due``: see above; ``size``: its bytes; ``owner``: whatever the scheduler wants to find again."""

    call: Call
    key: Key
    rows: int
    alone: bool
    since: float
    due: float
    number: int
    size: int = 0
    place: int = 0
    owner: Any = None
    queued: bool = False


class Lane:
    """Parts of one key, the most urgent first. ``seconds``: what they cost together, as predicted by ``line``, which is
    looked up when the first of them comes and when a batch leaves. ``released``: rows that are held no more."""

    __slots__ = ("entries", "key", "line", "released", "rows", "seconds")

    def __init__(self, key: Key, line: Line) -> None:
        self.key = key
        self.line = line
        self.entries: list[tuple[float, int, Part]] = []
        self.rows = 0
        self.released = 0
        self.seconds = 0.0

    def before(self, due: float) -> tuple[int, int]:
        """How many rows are due earlier, about, in how many parts."""
        parts = bisect_left(self.entries, (due,))
        return self.rows * parts // len(self.entries), parts

    def batch(self, max_rows: int) -> list[Part]:
        """The parts that go next, together: the most urgent one, and those behind it as long as they fit."""
        chosen: list[Part] = []
        rows = 0
        for _, _, part in self.entries:
            rows += part.rows
            if chosen and (rows > max_rows or part.alone):
                break
            chosen.append(part)
            if part.alone:
                break
        return chosen


class Queue:
    """Lanes by key. ``line_of`` says what calls of a key cost; a call takes ``max_rows`` rows at most."""

    def __init__(self, line_of: Callable[[Key], Line], max_rows: int) -> None:
        self._line_of = line_of
        self._max_rows = max_rows
        self._lanes: dict[Key, Lane] = {}
        self._heads: list[tuple[float, int, Lane]] = []  # sorted: the first entry of each lane
        self.calls = 0
        self.rows = 0
        self.size = 0
        self.seconds = 0.0

    def add(self, part: Part) -> None:
        """It waits from now on."""
        lane = self._lanes.get(part.key)
        if lane is None:
            lane = self._lanes[part.key] = Lane(part.key, self._line_of(part.key))
        entry = (part.due, part.number, part)
        entries = lane.entries
        if entries and entry > entries[-1]:
            entries.append(entry)
        else:
            self._unlist(lane)
            insort(entries, entry)
            self._list(lane)
        part.queued = True
        self._count(lane, 1, part.rows, part.size)

    def remove(self, part: Part) -> None:
        """It left without being run: cancelled, expired."""
        lane = self._lanes[part.key]
        index = bisect_left(lane.entries, (part.due, part.number))
        self._unlist(lane)
        del lane.entries[index]
        self._list(lane)
        part.queued = False
        self._count(lane, -1, -part.rows, -part.size)

    def take(self, lane: Lane, instances: int = 1) -> list[Part]:
        """The lane's next batch, which leaves the queue: of all that waits, or a part of it where several instances
        have nothing to do."""
        batch = lane.batch(min(self._max_rows, -(-self.rows // instances)))
        rows = sum([part.rows for part in batch])
        lane.released = max(lane.released - rows, 0)
        lane.line = self._line_of(lane.key)
        self._unlist(lane)
        del lane.entries[: len(batch)]
        self._list(lane)
        for part in batch:
            part.queued = False
        self._count(lane, -len(batch), -rows, -sum([part.size for part in batch]))
        return batch

    def lanes(self) -> Iterator[Lane]:
        """The most urgent first. Ends with the first change of the queue."""
        return (lane for _, _, lane in self._heads)

    def ahead(self, due: float) -> float:
        """Predicted seconds of the work that goes before what is due then."""
        total = 0.0
        for head, _, lane in self._heads:
            if head >= due:
                break
            total += self._seconds(lane, *lane.before(due))
        return total

    def company(self, key: Key, rows: int, due: float) -> int:
        """How many rows that are due earlier wait in the batch that so many more of a kind would go with."""
        lane = self._lanes.get(key)
        last = lane.before(due)[0] % self._max_rows if lane else 0
        return last if last + rows <= self._max_rows else 0

    def _unlist(self, lane: Lane) -> None:
        if lane.entries:
            del self._heads[bisect_left(self._heads, lane.entries[0][:2])]

    def _list(self, lane: Lane) -> None:
        if lane.entries:
            insort(self._heads, (*lane.entries[0][:2], lane))
        else:
            del self._lanes[lane.key]

    def _count(self, lane: Lane, calls: int, rows: int, size: int) -> None:
        self.calls += calls
        self.rows += rows
        self.size += size
        lane.rows += rows
        seconds = self._seconds(lane, lane.rows, len(lane.entries))
        self.seconds = self.seconds + seconds - lane.seconds if self._lanes else 0.0
        lane.seconds = seconds

    def _seconds(self, lane: Lane, rows: int, parts: int) -> float:
        """Of some that wait. No rows are a call too, and a part of more rows than ``max_rows`` is not more than one."""
        return lane.line.seconds(rows, min(-(-rows // self._max_rows) or 1, parts))
