"""Whether rows wait for company although an instance is idle. Pure: times are arguments.

To hold ``rows`` rows for h seconds, in which m more come, makes (rows + m) / (h + a * (rows + m) + b) rows a second
instead of rows / (a * rows + b). The first is greater exactly when b * m > h * rows: so when fewer rows wait than come
while the fixed part of a call is paid, rows < b / gap, with ``gap`` the seconds between arrivals.

Callers that ask again when they are answered come in bursts, with the time of a whole batch in between: so the gap is
the usual one (a mean of logarithms), not the average; a burst is over when all are there that were there of late, or
when nobody came for a while. 64 such callers, never held, come in two batches that take turns for ever.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple

from shipway.runtime.server.engine.cost import Line

TICK = 0.001  # seconds: uvloop's timers are no finer, and what is shorter than half of it would be a poll
_KEYS = 256
_STEP = 1 / 16  # weight of the newest gap
_BIAS = 0.5772  # of a mean of logarithms, where arrivals are independent: Euler's constant
_SHORTEST = 1e-6  # seconds between two arrivals that one turn of the loop brings
_SILENCE = 8  # gaps without an arrival after which a burst is over
_OF_A_CALL = 1 / 2  # of the fixed part of a call: no burst is over before so long a silence. What it costs when nobody
# comes is small against the call that is saved when somebody does: 4,600 rows a second without it, 6,100 with it (64
# callers, a call of 5 ms).
_FADING = 1 / 8  # per batch: how fast it is forgotten how many there were


class Held(NamedTuple):
    """What waits of one kind, in ``parts``. ``since``: when the first came; ``expires``: the earliest deadline."""

    rows: int
    parts: int
    since: float
    expires: float


class Presence:
    """How many (rows, or parts: who comes with eight rows and then with one is no crowd) wait or run: ``around``, of
    which ``running``; ``of_late``: how many that usually are at most."""

    def __init__(self) -> None:
        self.around = 0
        self.running = 0
        self.of_late = 0.0

    @property
    def missing(self) -> float:
        """How many that do not run are there when all are."""
        return self.of_late - self.running

    def arrived(self, count: int) -> None:
        """So many more."""
        self.around += count
        self.of_late = max(self.around, self.of_late)

    def begun(self, count: int) -> None:
        """So many run now, and wait no more."""
        self.running += count
        self.of_late += (self.around - self.of_late) * _FADING

    def ended(self, count: int) -> None:
        """So many ran."""
        self.running -= count
        self.around -= count


class Flow:
    """Arrivals of one kind."""

    def __init__(self) -> None:
        self._log_gap: float | None = None
        self._log_return: float | None = None
        self.last = -math.inf
        self.free = -math.inf  # since when an instance could have taken more
        self.rows = Presence()
        self.parts = Presence()

    @property
    def gap(self) -> float:
        """Seconds between two rows; infinite before the second."""
        return math.inf if self._log_gap is None else math.exp(self._log_gap + _BIAS)

    def arrived(self, rows: int, parts: int, now: float) -> None:
        """So many came."""
        if self.last > -math.inf:
            self._log_gap = _blend(self._log_gap, (now - self.last) / max(rows, 1))
        if self.last < self.free:
            self._log_return = _blend(self._log_return, now - self.free)
        self.last = now
        self.rows.arrived(rows)
        self.parts.arrived(parts)

    @property
    def silent(self) -> float:
        """When a burst is over if nobody comes: it begins some time after a batch has ended, and has no long gaps."""
        gaps = _SILENCE * self.gap
        if self.last >= self.free or self._log_return is None:
            return self.last + gaps
        return self.free + max(gaps, 2 * math.exp(self._log_return + _BIAS))

    def begun(self, rows: int, parts: int) -> None:
        """So many run now, and wait no more."""
        self.rows.begun(rows)
        self.parts.begun(parts)

    def ended(self, rows: int, parts: int, now: float) -> None:
        """So many ran."""
        self.free = now
        self.rows.ended(rows)
        self.parts.ended(parts)

    def left(self, rows: int, parts: int = 1) -> None:
        """So many were not run."""
        self.rows.around -= rows
        self.parts.around -= parts


def _blend(mean: float | None, seconds: float) -> float:
    """The mean of logarithms with one more."""
    newest = math.log(max(seconds, _SHORTEST))
    return newest if mean is None else mean + (newest - mean) * _STEP


class Flows:
    """By kind of call: the newest kinds, and those of which something is there."""

    def __init__(self) -> None:
        self._flows: dict[Hashable, Flow] = {}

    def of(self, key: Hashable) -> Flow:
        """That of a kind."""
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= _KEYS:
                gone = next((old for old, one in self._flows.items() if not one.parts.around), key)
                self._flows.pop(gone, None)
            flow = self._flows[key] = Flow()
        return flow


def hold_until(held: Held, flow: Flow, line: Line | None, *, max_rows: int, max_delay: float, now: float) -> float:
    """The time until which rows are better held; ``now``: not at all. No deadline breaks by it."""
    if line is None:
        return now
    possible = min(max_rows, flow.rows.missing)
    if held.parts >= flow.parts.missing or held.rows >= min(possible, line.fixed / flow.gap):
        return now
    worth = line.fixed * (possible - held.rows) / max(held.rows, 1)
    moved = max(held.since, flow.free)
    latest_start = held.expires - line.seconds(max_rows)
    silence = max(flow.silent, max(flow.last, flow.free) + line.fixed * _OF_A_CALL)
    silent = max(silence, now + TICK) if silence > now else now
    until = min(moved + max_delay, silent, max(flow.last, flow.free) + worth, latest_start)
    return until if until >= now + TICK else now
