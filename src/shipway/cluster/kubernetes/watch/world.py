"""The workloads of one hub in one namespace, joined from the watch caches of their kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shipway.bundle import Observed
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import (
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    INGRESSES,
    JOBS,
    PODS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from shipway.cluster.kubernetes.names import OWNER, WORKLOAD, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.cache import Cache
from shipway.cluster.kubernetes.watch.observe import observed
from shipway.cluster.kubernetes.watch.seen import Seen, numbered
from shipway.ports import Clock

MAINS = (DEPLOYMENTS, STATEFUL_SETS, JOBS, CRON_JOBS)
_FRONTS = (INGRESSES, HTTP_ROUTES)
_LOOK = 1.0  # seconds between two looks at whether the server is away
# What happens at every start and tells nothing: three of the five events of a Pod that is well.
_NOISE = ",".join(f"reason!={one}" for one in ("Scheduled", "Created", "Started"))


@dataclass(slots=True)
class Found:
    """What is known of a workload beside its objects: see :class:`Seen`."""

    tails: dict[str, str] = field(default_factory=dict)  # by uid of the Pod
    restarts: dict[str, int] = field(default_factory=dict)  # after how many the tail is of, by uid too
    output: str = ""
    output_delayed: str = ""
    output_refused: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do for the result."""
        return bool(self.output or self.output_refused)


class World:
    """``allocatable``: extended resources of all nodes together, where they are known."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        owner: str,
        clock: Clock,
        *,
        routes: bool = False,
        allocatable: Mapping[str, int] | None = None,
    ) -> None:
        self._clock = clock
        self.taints: Mapping[str, int] | None = None  # of nodes, looked at while something is not scheduled
        self._allocatable = allocatable
        kinds = (*MAINS, PODS, SERVICES, HORIZONTAL_POD_AUTOSCALERS, INGRESSES, *((HTTP_ROUTES,) if routes else ()))
        self._caches: dict[Resource, Cache] = {
            kind: Cache(api, kind, namespace=namespace, labels=f"{OWNER}={owner}", clock=clock) for kind in kinds
        }
        self._caches[EVENTS] = Cache(api, EVENTS, namespace=namespace, fields=_NOISE, clock=clock)
        self._events: dict[str, dict[str, Manifest]] = {}  # by uid of what they are of, then by name
        self._of_event: dict[str, str] = {}  # the uid by the event's name
        self._applied: dict[str, Manifest] = {}  # main objects that the caches do not show yet
        self._indexes: dict[str, dict[str, int]] = {}
        self._found: dict[str, Found] = {}
        self._memory: dict[str, Observed] = {}
        self._subscribers: list[Callable[[str], None]] = []
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when all is there. Raises what listing raises."""
        self._caches[EVENTS].subscribe(self._on_event)
        for resource, cache in self._caches.items():
            if resource is not EVENTS:
                cache.subscribe(self._follower())
        try:
            await asyncio.gather(*(cache.start() for cache in self._caches.values()))
        except BaseException:
            await self.close()
            raise
        for pod in self._caches[PODS].items():
            self._changed(fields.label(pod, WORKLOAD))
        self._looking = asyncio.create_task(self._look(), name="is the API server away")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await asyncio.gather(*(cache.close() for cache in self._caches.values()))

    @property
    def stale_since(self) -> datetime | None:
        """Since when something of it may be other than it is shown."""
        return min((one.stale_since for one in self._caches.values() if one.stale_since is not None), default=None)

    @property
    def stale_because(self) -> str:
        """What the API server, or the network, says of it: a password that ended is no cluster that is away."""
        failed = (one for one in self._caches.values() if one.stale_since is not None and one.failure is not None)
        oldest = min(failed, key=lambda one: str(one.stale_since), default=None)
        return oldest.failure.message if oldest is not None and oldest.failure is not None else ""

    def subscribe(self, subscriber: Callable[[str], None]) -> Callable[[], None]:
        """Told the name of each workload that may have changed; what is returned ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def names(self) -> list[str]:
        """Of all workloads, sorted: those with a main object, and those of which Pods are left."""
        mains = {fields.name_of(one) for kind in MAINS for one in self._caches[kind].items() if self._is_main(one)}
        left = {fields.label(one, WORKLOAD) for one in self._caches[PODS].items()}
        return sorted((mains | left | set(self._applied)) - {""})

    def main(self, name: str) -> Manifest | None:
        """The object that all others of the workload belong to, as it is now or as it was applied a moment ago."""
        shown = next((one for kind in MAINS if (one := self._caches[kind].get(name)) and self._is_main(one)), None)
        applied = self._applied.get(name)
        if applied is None:
            return shown
        if shown is not None and _is_as_new(shown, applied):
            del self._applied[name]
            return shown
        return applied

    def remember(self, name: str, main: Manifest) -> None:
        """It was applied and may take a moment to be seen."""
        self._applied[name] = main
        self._changed(name)

    def forget(self, name: str) -> None:
        """It is being deleted: what was applied says nothing any more."""
        self._applied.pop(name, None)
        self._changed(name)

    def pods(self, name: str) -> tuple[Manifest, ...]:
        """All Pods of a workload."""
        return self._caches[PODS].by(WORKLOAD, name)

    def found(self, name: str) -> Found:
        """What was found out beside the objects; call :meth:`tell` after changing it."""
        return self._found.setdefault(name, Found())

    def tell(self, name: str) -> None:
        """Something else than an object of it changed."""
        self._changed(name)

    def observe(self, name: str) -> Observed | None:
        """As it is now; from memory while nothing changed."""
        if name not in self._memory:
            seen = self.seen(name)
            if seen is None:
                self._found.pop(name, None)
                self._indexes.pop(name, None)
                return None
            self._memory[name] = observed(seen)
        return self._memory[name]

    def seen(self, name: str) -> Seen | None:
        """All that is known of a workload; None when there is none of that name."""
        main, pods = self.main(name), self.pods(name)
        if main is None and not pods:
            return None
        found = self.found(name)
        indexes = self._indexes[name] = numbered(pods, self._indexes.get(name, {}))
        events = [*self._of(main), *(one for pod in pods for one in self._of(pod))]
        return Seen(
            name=name,
            main=main,
            pods=pods,
            events=tuple(sorted(events, key=fields.event_time)),
            autoscaler=self._caches[HORIZONTAL_POD_AUTOSCALERS].get(name),
            service=self._caches[SERVICES].get(name),
            fronts=tuple(
                one for kind in _FRONTS if kind in self._caches for one in self._caches[kind].by(WORKLOAD, name)
            ),
            indexes=indexes,
            tails=found.tails,
            output=found.output,
            output_delayed=found.output_delayed,
            output_refused=found.output_refused,
            allocatable=self._allocatable,
            taints=self.taints,
            stale_since=self.stale_since,
            stale_because=self.stale_because,
        )

    def _is_main(self, one: Manifest) -> bool:
        """Not a Job that a CronJob made: that one has its maker's workload, and a name of its own."""
        return fields.label(one, WORKLOAD) == fields.name_of(one)

    def _of(self, one: Manifest | None) -> list[Manifest]:
        return list(self._events.get(fields.uid_of(one), {}).values()) if one is not None else []

    def _follower(self) -> Callable[[str, Manifest | None], None]:
        """Tells the workload of an object also when that is gone: then only its name is left of it."""
        workloads: dict[str, str] = {}

        def follow(name: str, one: Manifest | None) -> None:
            workload = fields.label(one, WORKLOAD) if one is not None else workloads.pop(name, "")
            if one is not None:
                workloads[name] = workload
            self._changed(workload)

        return follow

    def _on_event(self, name: str, event: Manifest | None) -> None:
        if event is None:
            uid = self._of_event.pop(name, "")
            self._events.get(uid, {}).pop(name, None)
            if not self._events.get(uid):
                self._events.pop(uid, None)
            return
        about: Mapping[str, Any] = event.get("involvedObject") or {}
        uid = self._of_event[name] = str(about.get("uid", ""))
        self._events.setdefault(uid, {})[name] = event
        about_name = str(about.get("name", ""))
        pod = self._caches[PODS].get(about_name) if about.get("kind") == "Pod" else None
        if pod is not None:
            self._changed(fields.label(pod, WORKLOAD))
        elif self.main(about_name) is not None:
            self._changed(about_name)

    def _changed(self, workload: str) -> None:
        self._memory.pop(workload, None)
        if workload:
            for subscriber in tuple(self._subscribers):
                subscriber(workload)

    async def _look(self) -> None:
        """When the server goes away or comes back, all workloads are to be shown otherwise."""
        before = self.stale_because
        while True:
            await self._clock.sleep(_LOOK)
            now = self.stale_because
            if now != before:
                for name in self.names():
                    self._changed(name)
            before = now


def _is_as_new(shown: Manifest, applied: Manifest) -> bool:
    """Whether what a cache shows is at least what was applied, and not an object before it under the same name."""
    if fields.uid_of(shown) != fields.uid_of(applied):
        return not fields.is_leaving(shown) and fields.created(shown) >= fields.created(applied)
    generations = [int(fields.metadata(one).get("generation", 0)) for one in (shown, applied)]
    return generations[0] >= generations[1]
