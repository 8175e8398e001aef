"""Follow objects until they are settled: watch, judge by :mod:`progress`, show, again."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from shipway.async_client import AsyncHubClient
from shipway.deploy.documents import Key, Object
from shipway.deploy.progress import Point, Progress, Show, progress
from shipway.deploy.world_async import AsyncWorld
from shipway.errors import HubUnreachable, NotFound, WorkloadFailed

_TICK = 0.2  # seconds of silence after which the display and the metrics are looked at again
_MOST_RESTARTS = 5  # of the hub while one caller follows

Wanted = Iterable[tuple[str, str, int]]  # kind, name, generation


async def follow(
    hub: AsyncHubClient,
    world: AsyncWorld,
    wanted: Wanted,
    changed: Collection[Key],
    show: Show,
    timeout: float | None,
    revive: Callable[[], Awaitable[object]],
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
        show(_without(state, old), [])
        return state
    while True:
        try:
            async with aclosing(_moments(world)) as moments:
                async for _ in moments:
                    state = progress(world.objects.values(), wanted, datetime.now(UTC))
                    show(_without(state, old), await metrics.new(world.objects))
                    if state.settled:
                        return state
                    if deadline is not None and time.monotonic() > deadline:
                        raise _too_late(state, timeout)
        except NotFound:  # the watch fell behind what the hub keeps
            await world.read()
        except HubUnreachable:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise
            await revive()
            await world.read()


async def _moments(world: AsyncWorld) -> AsyncGenerator[None, None]:
    """Now, and after every change; ends after a tick of silence."""
    yield
    async with aclosing(world.changes(wait=_TICK)) as changes:
        async for _ in changes:
            yield


def _done_before(state: Progress, changed: Collection[Key]) -> set[tuple[Key, str]]:
    ended = [one for one in state.steps if one.state in ("done", "cached")]
    return {(one.subject, one.text) for one in ended if one.subject not in changed}


def _without(state: Progress, old: set[tuple[Key, str]]) -> Progress:
    return replace(state, steps=tuple(one for one in state.steps if (one.subject, one.text) not in old))


def _too_late(state: Progress, timeout: float | None) -> WorkloadFailed:
    left = ", ".join(one.text for one in state.steps if one.state in ("waiting", "running", "retrying"))
    told = f"not settled after {timeout:g} s{': ' + left if left else ''}"  # what only waits for its result is done
    return WorkloadFailed(told, next_step="it goes on: see shipway status")


class _Metrics:
    """The points of running jobs that were not shown yet."""

    def __init__(self, hub: AsyncHubClient, jobs: set[str]) -> None:
        self._hub = hub
        self._after = dict.fromkeys(jobs, 0)
        self._open: set[str] = set()
        self._read_at = 0.0

    async def new(self, objects: Mapping[Key, Object]) -> list[Point]:
        running = {name for name in self._after if _phase(objects, name) == "Running"}
        self._open |= running
        # The last points are in the journal before the phase changes: they are shown before "done".
        ended = self._open - running
        if not self._open or (not ended and time.monotonic() - self._read_at < _TICK):
            return []
        names, self._open, self._read_at = sorted(self._open), running, time.monotonic()
        return [point for name in names for point in await self._of(name, objects.get(("ModelJob", name)))]

    async def _of(self, name: str, job: Object | None) -> list[Point]:
        if job is None:
            return []
        answer = await self._hub.get(f"/v1/metrics/modeljobs/{name}?after={self._after[name]}")
        points = answer["points"]
        if points:
            self._after[name] = points[-1]["id"]
        run = job["status"]["run"]["id"] + "-"  # an attempt's name follows
        return [Point(name, one["name"], one["value"], one.get("step")) for one in points if one["run"].startswith(run)]


def _phase(objects: Mapping[Key, Object], job: str) -> str:
    return str(objects.get(("ModelJob", job), {}).get("status", {}).get("phase", ""))
