"""What the API asks that needs more than one port: logs of an object, a version with its ledger, an end to all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from shipway.bundle import LogLine
from shipway.controllers.manager import GATEWAY
from shipway.controllers.objects import Objects
from shipway.controllers.templates import run_workload_name
from shipway.controllers.updates import all_of, find
from shipway.errors import NotFound, Refused
from shipway.kinds import Model, ModelJob, ModelService, Object, Route
from shipway.models import Versions
from shipway.ports import Cluster, Journal

_POLL = 0.05  # seconds between looks at workloads that are ending


@dataclass(frozen=True, slots=True)
class Views:
    """Reads over several ports, and the orderly end."""

    store: Objects
    journal: Journal
    cluster: Cluster
    versions: Versions

    async def logs(
        self, kind: str, name: str, *, follow: bool = False, tail: int | None = None
    ) -> AsyncIterator[tuple[str, LogLine]]:
        """Lines of an object's workloads, each with its workload's name; several are merged as they come."""
        workloads = self._workloads_of(self.store.get(kind, name))
        present = [one for one in workloads if await self.cluster.observe(one) is not None]
        if not present:
            raise NotFound(
                f"{kind}/{name} has no log: nothing of it runs here", next_step=f"see `shipway get {kind} {name}`"
            )
        lines: asyncio.Queue[tuple[str, LogLine] | None] = asyncio.Queue(maxsize=1000)

        async def read(workload: str) -> None:
            try:
                async for line in self.cluster.logs(workload, follow=follow, tail=tail):
                    await lines.put((workload, line))
            finally:
                await lines.put(None)

        readers = [asyncio.create_task(read(one)) for one in present]
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

    def _workloads_of(self, obj: Object) -> list[str]:
        if isinstance(obj, ModelJob):
            return [run_workload_name(obj.status.run)] if obj.status.run else []
        if isinstance(obj, ModelService):
            names = (obj.status.ready_revision, obj.status.latest_revision)
            return [one for one in dict.fromkeys(names) if one]
        raise Refused(f"{obj.kind} has no log: ModelJob and ModelService have")

    def model_detail(self, name: str, ref: str) -> dict[str, Any]:
        """One version with its lineage and the ledger of its model. Raises NotFound."""
        model = find(self.store, Model, name)
        version = model.version(ref) if model is not None else None
        if version is None:
            have = [str(one.number) for one in model.status.versions] if model is not None else []
            what = f"model {name} has no version {ref!r}" if model is not None else f"there is no model {name!r}"
            raise NotFound(what, next_step=f"versions: {', '.join(have) or 'none'}")
        ledger = [
            entry
            for subject in (f"Model/{name}", *self._services_of(name))
            for entry in self.journal.entries(subject=subject, type="ledger")
        ]
        ledger.sort(key=lambda entry: entry.id)
        return {
            "version": version.model_dump(mode="json", by_alias=True),
            "lineage": self.versions.lineage(name, version.number).to_json(),
            "ledger": [
                {"at": one.at.isoformat(), "subject": one.subject, "reason": one.reason, "message": one.message}
                for one in ledger
            ],
        }

    def _services_of(self, model: str) -> list[str]:
        return [f"ModelService/{one.name}" for one in self.store.of(ModelService, model)]

    async def down(self, objects: Sequence[tuple[str, str]] | None) -> list[str]:
        """Delete these objects (None: every service and job, and the gateway); answer when no process is left."""
        keys = objects if objects is not None else [one.key for one in self._running_kinds()]
        leaving: dict[tuple[str, str], str] = {}
        for kind, name in keys:
            try:
                leaving[kind, name] = self.store.delete(kind, name).metadata.uid
            except NotFound:
                continue
        while any(self._uid(kind, name) == uid for (kind, name), uid in leaving.items()):
            await asyncio.sleep(_POLL)
        if objects is None:
            await self._end_gateway()
        return [f"{kind}/{name}" for kind, name in leaving]

    def _running_kinds(self) -> list[Object]:
        return [*all_of(self.store, ModelService), *all_of(self.store, ModelJob)]

    def _uid(self, kind: str, name: str) -> str:
        """Empty when it is gone; another one when somebody made it anew meanwhile."""
        try:
            return self.store.get(kind, name).metadata.uid
        except NotFound:
            return ""

    async def _end_gateway(self) -> None:
        # Told again and again: a pass that read the routes before they went may start Envoy once more.
        while await self.cluster.observe(GATEWAY[1]) is not None and not all_of(self.store, Route):
            await self.cluster.delete(GATEWAY[1])
            await asyncio.sleep(_POLL)
