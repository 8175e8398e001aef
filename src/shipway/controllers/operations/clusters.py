"""What a person asks about clusters, and waits for: look at one, claim it, compare, reach a service in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipway.controllers.clusters import Clusters
from shipway.controllers.objects import Objects
from shipway.controllers.recorder import Recorder
from shipway.controllers.templates import service_workload, terms_of_service
from shipway.controllers.updates import find
from shipway.errors import NotFound, Refused
from shipway.kinds import LOCAL, ClusterSpec, ModelService, Object, Revision


@dataclass(frozen=True, slots=True)
class ClusterOperations:
    """Joins of the places and the ledger."""

    store: Objects
    clusters: Clusters
    recorder: Recorder

    async def check(self, spec: ClusterSpec, name: str) -> Sequence[Mapping[str, Any]]:
        """Findings about a place, whether it was added or not. Raises what the connection raises."""
        place = self.clusters.unlisted(name, spec)
        try:
            return await place.check()
        finally:
            await place.close()

    async def claim(self, name: str, *, take_over: bool, by: str) -> Mapping[str, Any]:
        """Make this hub the owner; into the ledger when it was another one's. Raises Conflict, NotFound."""
        claimed = await self.clusters.remote(name).claim(take_over=take_over)
        if claimed.get("before"):
            message = f"this hub ({claimed['owner']}) took it over from {claimed['before']}"
            self.recorder.ledger(f"Cluster/{name}", "TakenOver", message, {**claimed, "by": by})
        return claimed

    async def diff(self, objects: Sequence[Object]) -> Sequence[Mapping[str, Any]]:
        """What applying the objects would change in clusters."""
        found: list[Mapping[str, Any]] = []
        for one in objects:
            if isinstance(one, ModelService) and one.spec.cluster != LOCAL:
                found += await self._diff(one)
        return found

    async def _diff(self, service: ModelService) -> Sequence[Mapping[str, Any]]:
        present = find(self.store, ModelService, service.name)
        revision = find(self.store, Revision, present.status.ready_revision or "-") if present is not None else None
        if revision is None:
            return []  # nothing of it is there yet: all of it is new
        template = service.spec.template()
        wanted = revision.model_copy(update={"spec": revision.spec.model_copy(update={"template": template})})
        place = self.clusters.remote(service.spec.cluster)
        changes = await place.diff(service_workload(service, wanted), terms_of_service(service, wanted))
        return [{**one, "object": f"{service.spec.cluster}: {one['object']}"} for one in changes]

    async def forward(self, service: str) -> int:
        """A port of 127.0.0.1 that leads to the service. Raises NotFound, Refused, WorkloadFailed."""
        present = find(self.store, ModelService, service)
        if present is None:
            raise NotFound(f"there is no service {service!r}", next_step="see shipway services")
        if present.spec.cluster == LOCAL:
            raise Refused(
                f"service {service!r} runs on this machine: nothing is in between",
                next_step=f"it answers at {present.status.url}" if present.status.url else "see shipway status",
            )
        return await self.clusters.remote(present.spec.cluster).forward(service)
