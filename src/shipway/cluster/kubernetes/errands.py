"""What is fetched before a workload can be told of: the result of a job that is done, the last words of what failed,
and the taints of nodes that take no Pod.

Each is a task that tries until it succeeds; the workload is shown as Running meanwhile, so nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from shipway.cluster.kubernetes.logs import LogSource
from shipway.cluster.kubernetes.names import MAIN, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.jobs import lacks_tail, output_reference, why_foreign
from shipway.cluster.kubernetes.watch.scheduling import is_about_taints
from shipway.cluster.kubernetes.watch.world import World
from shipway.errors import ClusterUnreachable, Refused, ShipwayError
from shipway.ports import Clock, Supplies

_LINES = 30
_FRESH = 30.0  # seconds in which nodes are not looked at again
_MOST = 8  # at the same time
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_PATIENCE = 60.0  # seconds of pauses for last words: with the tries of each request two minutes


class Errands:
    """``consider`` is told of each workload that changed. ``outputs``: the repository that results are fetched from."""

    def __init__(
        self,
        api: LogSource,
        namespace: str,
        world: World,
        supplies: Supplies,
        outputs: str,
        taints: Callable[[], Awaitable[Mapping[str, int] | None]],
        clock: Clock,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._world = world
        self._supplies = supplies
        self._outputs = outputs
        self._taints = taints
        self._looked = -_FRESH
        self._clock = clock
        self._slots = asyncio.Semaphore(_MOST)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def consider(self, name: str) -> None:
        """Begin what is lacking of that workload, unless it is under way."""
        main, pods = self._world.main(name), self._world.pods(name)
        if main is None and not pods:
            return
        found = self._world.found(name)
        if main is not None and main.get("kind") == "Job" and fields.holds(main, "Complete") and not found.is_settled:
            seen = self._world.seen(name)
            if seen is not None and (reference := output_reference(seen)):
                self._begin(f"output {name}", self._fetch(name, reference))
        for gone in found.tails.keys() - {fields.uid_of(pod) for pod in pods}:
            del found.tails[gone], found.restarts[gone]
        if any(is_about_taints(pod) for pod in pods):
            self._look_at_nodes(name)
        for pod in pods:
            uid, restarts = fields.uid_of(pod), int(fields.container_status(pod).get("restartCount", 0))
            known = found.tails.get(uid) if found.restarts.get(uid) == restarts else None
            if lacks_tail(pod, known):
                self._begin(f"tail {uid} {restarts}", self._read_tail(name, pod, restarts))

    def _look_at_nodes(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._looked >= _FRESH:
            self._looked = now
            self._begin("nodes", self._read_taints(name))

    async def _read_taints(self, name: str) -> None:
        try:
            found = await self._taints()
        except ShipwayError:
            return  # the scheduler's own words have to do
        if found != self._world.taints:
            self._world.taints = found
            for one in {name, *self._world.names()}:
                self._world.tell(one)

    async def close(self) -> None:
        """Leave all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, what: str, errand: Coroutine[Any, Any, None]) -> None:
        if what in self._tasks:
            errand.close()
            return
        task = self._tasks[what] = asyncio.create_task(errand, name=what)
        task.add_done_callback(lambda _: self._tasks.pop(what, None))

    async def _fetch(self, name: str, reference: str) -> None:
        if refused := why_foreign(reference, self._outputs):
            # The job's own code can write a termination message, and must not choose where we log in and what we take.
            self._world.found(name).output_refused = refused
            self._world.tell(name)
            return
        pause = _FIRST_PAUSE
        while self._world.main(name) is not None:
            found = self._world.found(name)
            try:
                folder: Path = await self._supplies.fetch(reference)
            except Refused as error:
                found.output_refused = error.message
            except ShipwayError as error:
                found.output_delayed = (
                    f"its result {reference} could not be fetched ({error.message}); it is tried again"
                )
            else:
                found.output, found.output_delayed = str(folder), ""
            self._world.tell(name)
            if found.is_settled:
                return
            await self._clock.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _read_tail(self, name: str, pod: Manifest, restarts: int) -> None:
        # Of a container that runs again the last words are those of the one before; while it waits, its log is theirs.
        before = bool(fields.state(fields.container_status(pod), "running"))
        uid, pause = fields.uid_of(pod), _FIRST_PAUSE
        waited = 0.0
        while self._world.pods(name):
            try:
                text = await self._last_lines(fields.name_of(pod), before)
            except ClusterUnreachable:
                if waited < _PATIENCE:
                    await self._clock.sleep(pause)
                    waited, pause = waited + pause, min(_LONGEST_PAUSE, 2 * pause)
                    continue
                text = ""  # its node is down, perhaps for good: that it failed is to be told all the same
            except ShipwayError:
                text = ""  # the node has removed it, or we may not read it
            found = self._world.found(name)
            found.tails[uid], found.restarts[uid] = text, restarts
            self._world.tell(name)
            return

    async def _last_lines(self, pod: str, previous: bool) -> str:
        async with self._slots:
            raw = self._api.logs(pod, self._namespace, MAIN, previous=previous, tail=_LINES, timestamps=False)
            async with aclosing(raw) as lines:  # type: ignore[type-var]
                return "\n".join([line.decode(errors="replace") async for line in lines])
