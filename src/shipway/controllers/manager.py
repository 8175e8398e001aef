"""Turns changes of the store and of the cluster into keys to reconcile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from shipway.controllers.clusters import Clusters
from shipway.controllers.objects import Objects
from shipway.controllers.queue import Key, Queue
from shipway.controllers.retention import RETENTION
from shipway.controllers.templates import is_run, job_of_workload
from shipway.controllers.updates import find
from shipway.errors import NotFound
from shipway.kinds import LOCAL, Model, ModelService, Object, Revision, Route

GATEWAY: Key = ("Gateway", "gateway")


def keys_of_object(obj: Object, objects: Objects) -> list[Key]:
    """Which objects to look at when this one changed."""
    match obj:
        case Revision():
            return [("ModelService", obj.spec.service)]
        case Route():
            return [GATEWAY, ("ModelService", obj.name)]
        case Model():
            return [obj.key, *(one.key for one in objects.of(ModelService, obj.name))]
        case _:
            return [obj.key]


def _owner_elsewhere(workload: str) -> Key:
    """Where a service is one workload, which has its name."""
    return ("ModelJob", job_of_workload(workload)) if is_run(workload) else ("ModelService", workload)


@dataclass(slots=True)
class Manager:
    """Watches both worlds and feeds the queue; sweeps workloads that nobody owns."""

    store: Objects
    clusters: Clusters
    queue: Queue
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set by whoever writes to the store

    async def run(self) -> None:
        """Until cancelled."""
        version = self._add_all()
        self.queue.add(GATEWAY)
        self.queue.add(RETENTION)
        await self._sweep()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_store(version))
            group.create_task(self._watch_cluster())

    async def _watch_store(self, version: int) -> None:
        while True:
            self.changed.clear()
            try:
                for change in self.store.watch(version):
                    version = change.version
                    self._add(keys_of_object(change.object, self.store))
            except NotFound:
                # The change log was cut while this task slept (a suspended laptop): look at everything.
                version = self._add_all()
            await self.changed.wait()

    def _add_all(self) -> int:
        """Every object of the store; the version that it has."""
        objects, version = self.store.list()
        for obj in objects:
            self._add(keys_of_object(obj, self.store))
        return version

    async def _watch_cluster(self) -> None:
        async for cluster, workload in self.clusters.watch():
            self._add(self._owners(workload) if cluster == LOCAL else [_owner_elsewhere(workload)])

    def _owners(self, workload: str) -> list[Key]:
        if workload == GATEWAY[1]:
            return [GATEWAY]
        revision = find(self.store, Revision, workload)
        if revision is not None:
            return [("ModelService", revision.spec.service), GATEWAY]
        return [("ModelJob", job_of_workload(workload)), GATEWAY]

    async def _sweep(self) -> None:
        """Stop workloads whose object is gone: the last hub died between the two deletions."""
        for seen in await self.clusters.local.list():
            kind, name = self._owners(seen.name)[0]
            if kind == GATEWAY[0]:
                continue
            try:
                self.store.get(kind, name)
            except NotFound:
                await self.clusters.local.delete(seen.name)

    def _add(self, keys: list[Key]) -> None:
        for key in keys:
            self.queue.add(key)
