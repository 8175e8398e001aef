"""Follow objects until they are settled: watch, judge by :mod:`progress`, show, again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Protocol

from shipway.cli.hubs import Key, World
from shipway.cli.progress import Progress, progress
from shipway.client import HubClient
from shipway.errors import HubUnreachable, NotFound, WorkloadFailed

_TICK = 0.2  # seconds of silence after which the display and the metrics are looked at again
_MOST_RESTARTS = 5  # of the hub while one command follows

Wanted = Iterable[tuple[str, str, int]]  # kind, name, generation


@dataclass(frozen=True, slots=True)
class Point:
    """One metric value of a running job."""

    job: str
    name: str
    value: float
    step: int | None = None


class Display(Protocol):
    """Where progress is shown."""

    def show(self, state: Progress, points: list[Point]) -> None:
        """The present state, and the points since the last call."""
        ...


class Silent:
    """For ``-o json``: nothing but the result is printed."""

    def show(self, state: Progress, points: list[Point]) -> None:
        """Show nothing."""


def follow(
    hub: HubClient,
    world: World,
    wanted: Wanted,
    changed: Collection[Key],
    display: Display,
    timeout: float | None,
    revive: Callable[[], object],
) -> Progress:
    """Until everything wanted is settled. ``revive`` starts a hub that died meanwhile: the work went on without it.

    What is not among ``changed`` and was done before is not shown: a training of yesterday is no news.
    Raises WorkloadFailed when ``timeout`` seconds are over.
    """
    wanted = tuple(wanted)
    metrics = _Metrics(hub, {name for kind, name, _ in wanted if kind == "ModelJob"})
    deadline = None if timeout is None else time.monotonic() + timeout
    restarts = 0
    state = progress(world.objects.values(), wanted, datetime.now(UTC))
    old = _done_before(state, changed)
    if state.settled:
        display.show(_without(state, old), [])
        return state
    while True:
        try:
            for _ in chain([None], world.changes(wait=_TICK)):
                state = progress(world.objects.values(), wanted, datetime.now(UTC))
                display.show(_without(state, old), metrics.new(world.objects))
                if state.settled:
                    return state
                if deadline is not None and time.monotonic() > deadline:
                    raise _too_late(state, timeout)
        except NotFound:  # the watch fell behind what the hub keeps
            world.read()
        except HubUnreachable:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise
            revive()
            world.read()


def _done_before(state: Progress, changed: Collection[Key]) -> set[tuple[Key, str]]:
    ended = [one for one in state.steps if one.state in ("done", "cached")]
    return {(one.subject, one.text) for one in ended if one.subject not in changed}


def _without(state: Progress, old: set[tuple[Key, str]]) -> Progress:
    return replace(state, steps=tuple(one for one in state.steps if (one.subject, one.text) not in old))


def _too_late(state: Progress, timeout: float | None) -> WorkloadFailed:
    left = ", ".join(one.text for one in state.steps if one.state in ("waiting", "running"))
    return WorkloadFailed(f"not settled after {timeout:g} s: {left}", next_step="it goes on: see shipway status")


class _Metrics:
    """The points of running jobs that were not shown yet."""

    def __init__(self, hub: HubClient, jobs: set[str]) -> None:
        self._hub = hub
        self._after = dict.fromkeys(jobs, 0)
        self._open: set[str] = set()
        self._read_at = 0.0

    def new(self, objects: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[Point]:
        running = {name for name in self._after if _phase(objects, name) == "Running"}
        self._open |= running
        # The last points are in the journal before the phase changes: they are shown before "done".
        ended = self._open - running
        if not self._open or (not ended and time.monotonic() - self._read_at < _TICK):
            return []
        names, self._open, self._read_at = sorted(self._open), running, time.monotonic()
        return [point for name in names for point in self._of(name, objects.get(("ModelJob", name)))]

    def _of(self, name: str, job: Mapping[str, Any] | None) -> list[Point]:
        if job is None:
            return []
        points = self._hub.get(f"/v1/metrics/modeljobs/{name}?after={self._after[name]}")["points"]
        if points:
            self._after[name] = points[-1]["id"]
        run = job["status"]["run"]["id"] + "-"  # an attempt's name follows
        return [Point(name, one["name"], one["value"], one.get("step")) for one in points if one["run"].startswith(run)]


def _phase(objects: Mapping[tuple[str, str], Mapping[str, Any]], job: str) -> str:
    return str(objects.get(("ModelJob", job), {}).get("status", {}).get("phase", ""))
