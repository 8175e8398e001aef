"""What the API asks that needs more than one port: logs of an object, an end to all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from shipway.bundle import LogLine
from shipway.controllers.clusters import Clusters
from shipway.controllers.manager import GATEWAY
from shipway.controllers.objects import Objects
from shipway.controllers.setbacks import RECONCILED
from shipway.controllers.templates import run_workload_name
from shipway.controllers.updates import all_of
from shipway.errors import ClusterUnreachable, NotFound, Refused
from shipway.kinds import LOCAL, ModelJob, ModelService, Object, Route
from shipway.ports import Cluster

_POLL = 0.05  # seconds between looks at workloads that are ending


@dataclass(frozen=True, slots=True)
class Views:
    """Reads over several ports, and the orderly end."""

    store: Objects
    clusters: Clusters

    async def logs(
        self, kind: str, name: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[tuple[str, LogLine]]:
        """Lines of an object's workloads, each with its workload's name; several are merged as they come."""
        workloads = self._workloads_of(self.store.get(kind, name))
        present = [(place, one) for place, one in workloads if await place.observe(one) is not None]
        if not present:
            raise NotFound(
                f"{kind}/{name} has no log: nothing of it runs here", next_step=f"see `shipway get {kind} {name}`"
            )
        lines: asyncio.Queue[tuple[str, LogLine] | None] = asyncio.Queue(maxsize=1000)

        async def read(place: Cluster, workload: str) -> None:
            try:
                async for line in place.logs(workload, follow=follow, tail=tail):
                    await lines.put((workload, line))
            finally:
                await lines.put(None)

        readers = [asyncio.create_task(read(place, one)) for place, one in present]
        try:
            left = len(readers)
            while left:
                item = await lines.get()
                if item is None:
                    left -= 1
                else:
                    yield item
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    def _workloads_of(self, obj: Object) -> list[tuple[Cluster, str]]:
        if isinstance(obj, ModelJob):
            run = obj.status.run
            return [(self.clusters.of(run.cluster), run_workload_name(run))] if run is not None else []
        if isinstance(obj, ModelService) and obj.spec.cluster != LOCAL:
            return [(self.clusters.of(obj.spec.cluster), obj.name)]
        if isinstance(obj, ModelService):
            names = (obj.status.ready_revision, obj.status.latest_revision)
            return [(self.clusters.local, one) for one in dict.fromkeys(names) if one]
        raise Refused(f"{obj.kind} has no log: ModelJob and ModelService have")

    async def down(self, objects: Sequence[tuple[str, str]] | None) -> list[str]:
        """Delete these objects (None: every service and job, and the gateway); answer when no process is left.

        Raises ClusterUnreachable when what is left runs on a cluster that does not answer: it goes when that does.
        """
        keys = objects if objects is not None else [one.key for one in self._running_kinds()]
        leaving: dict[tuple[str, str], str] = {}
        for kind, name in keys:
            try:
                leaving[kind, name] = self.store.delete(kind, name).metadata.uid
            except NotFound:
                continue
        held_up: list[str] = []
        while left := [key for key, uid in leaving.items() if self._uid(*key) == uid]:
            held_up = [said for key in left if (said := self._held_up(*key))]
            if len(held_up) == len(left):
                break
            await asyncio.sleep(_POLL)
        if objects is None:
            await self._end_gateway()
        if left:
            names = ", ".join("/".join(key) for key in left)
            raise ClusterUnreachable(
                f"{names}: asked for, and not gone yet: {held_up[0]}",
                next_step="It goes on by itself when the cluster answers: see shipway status.",
            )
        return [f"{kind}/{name}" for kind, name in leaving]

    def _running_kinds(self) -> list[Object]:
        return [*all_of(self.store, ModelService), *all_of(self.store, ModelJob)]

    def _uid(self, kind: str, name: str) -> str:
        """Empty when it is gone; another one when somebody made it anew meanwhile."""
        try:
            return self.store.get(kind, name).metadata.uid
        except NotFound:
            return ""

    def _held_up(self, kind: str, name: str) -> str:
        """What keeps an object from going whose cluster is not this machine, in words; empty while nothing does."""
        obj = self.store.get(kind, name)
        reconciled = obj.status.condition(RECONCILED)
        elsewhere = isinstance(obj, ModelJob | ModelService) and obj.spec.cluster != LOCAL
        stuck = elsewhere and reconciled is not None and reconciled.status == "False"
        return reconciled.message if stuck and reconciled is not None else ""

    async def _end_gateway(self) -> None:
        # Told again and again: a pass that read the routes before they went may start Envoy once more.
        while await self.clusters.local.observe(GATEWAY[1]) is not None and not all_of(self.store, Route):
            await self.clusters.local.delete(GATEWAY[1])
            await asyncio.sleep(_POLL)
