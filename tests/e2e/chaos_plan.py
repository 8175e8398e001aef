"""What a chaos run does and when: a pure function of its seed, and the rule that says whose fault a failure is."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

KILLS = ("hub", "supervisor", "replica", "job", "envoy", "uv")
WORK = ("train", "edit", "scale", "build", "delete")

_BETWEEN_KILLS = 1.6  # seconds, on average
_BETWEEN_WORK = 2.4
_FIRST = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """At ``at`` seconds after the start: a kill -9 of a process of that role, or some work. ``draw`` in [0, 1) chooses
    the victim among those that live then."""

    at: float
    kind: Literal["kill", "work"]
    what: str
    draw: float


def schedule(seed: int, seconds: float) -> tuple[Step, ...]:
    """The steps of a run in order of time. The same seed and seconds give the same steps, on every machine.

    Every role and every kind of work has its turn before any has the next one, so that a short run has all.
    """
    numbers = random.Random(f"{seed}/{seconds:g}")
    steps = [
        *_steps(numbers, "kill", KILLS, seconds, _BETWEEN_KILLS),
        *_steps(numbers, "work", WORK, seconds, _BETWEEN_WORK),
    ]
    return tuple(sorted(steps, key=lambda one: one.at))


def _steps(
    numbers: random.Random, kind: Literal["kill", "work"], whats: Sequence[str], seconds: float, between: float
) -> list[Step]:
    count = int((seconds - _FIRST) / between)
    gaps = [numbers.uniform(0.2, 1.8) for _ in range(count)]
    scale = (seconds - _FIRST) / sum(gaps) if gaps else 0.0
    turns: list[str] = []
    while len(turns) < count:
        turns += numbers.sample(whats, len(whats))
    times = accumulate((gap * scale for gap in gaps), initial=_FIRST)
    return [
        Step(round(at, 3), kind, what, round(numbers.random(), 6))
        for at, what in zip(times, turns[:count], strict=False)
    ]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no good answer. Moments are of ``time.monotonic``; ``connected`` is when its connection was
    made, None when it could not be."""

    client: int
    connected: float | None
    failed: float
    what: str


@dataclass(frozen=True, slots=True)
class Death:
    """Envoy was gone from somewhere in ``last_seen`` .. ``missed``, and another one served from ``back``."""

    last_seen: float
    missed: float
    back: float


_SLACK = 0.5  # seconds that a busy client may need to read the end of its connection


def blame(failures: Sequence[Failure], deaths: Sequence[Death]) -> list[Failure]:
    """The failures that no death of Envoy explains.

    A connection that Envoy held breaks when it dies: made before the death, told after it, and once. A connection that
    cannot be made is nobody's fault from a death until another Envoy serves. Each death breaks a connection once.
    """
    known = sorted(deaths, key=lambda one: one.last_seen)
    starts = [one.last_seen for one in known]
    excused: set[tuple[int, float]] = set()
    unexplained = []
    for one in sorted(failures, key=lambda each: each.failed):
        at = bisect_right(starts, one.failed) - 1
        death = known[at] if at >= 0 else None
        if death is None or not _explains(death, one):
            unexplained.append(one)
        elif one.connected is not None and one.connected <= death.last_seen:
            if (one.client, death.last_seen) in excused:
                unexplained.append(one)
            excused.add((one.client, death.last_seen))
    return unexplained


def _explains(death: Death, one: Failure) -> bool:
    if one.failed > death.back + _SLACK:
        return False
    # Between the two moments a dying Envoy's backlog still takes connections in.
    return one.connected is None or one.connected <= max(death.missed, death.last_seen)
