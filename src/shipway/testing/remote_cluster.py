"""FakeRemoteCluster: a cluster beyond this machine that exchanges the replicas of servers by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shipway.bundle import ClusterInfo, Observed, Replica, Terms, Workload
from shipway.errors import ShipwayError, WorkloadFailed
from shipway.testing.cluster import FakeCluster


class FakeRemoteCluster(FakeCluster):
    """Servers are exchanged when the test says :meth:`roll_out`; until then those of before serve. ``away``: what every
    call but ``observe`` and ``list`` raises, which then tell what was seen last. ``refuses``: what ``apply`` raises."""

    away: ShipwayError | None = None
    refuses: ShipwayError | None = None
    owner = "this"

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        """See the port."""
        self._answer()
        if self.refuses is not None:
            raise self.refuses
        present = await self.observe(workload.name)
        if terms is None or workload.mode == "job" or present is None:
            await super().apply(workload, terms)
            if terms is not None:
                self._change(workload.name, revision=terms.owner.revision, rolled_out=False)
            return
        self.applied.append(workload)
        if present.revision != terms.owner.revision:
            self._change(workload.name, hash=workload.hash(), revision=terms.owner.revision, rolled_out=False)
        self._virtual[workload.name].workload = workload

    async def delete(self, name: str) -> None:
        """See the port."""
        self._answer()
        await super().delete(name)

    def roll_out(self, name: str) -> None:
        """All replicas are of the revision that was applied last, and ready."""
        virtual = self._virtual[name]
        replicas = tuple(
            Replica(index, "Ready", revision=virtual.observed.revision) for index in range(virtual.workload.replicas)
        )
        self._change(name, phase="Running", replicas=replicas, rolled_out=True, reason="", message="")

    def stall(self, name: str, reason: str, message: str) -> None:
        """The exchange does not get on; those of before serve."""
        self._change(name, phase="Running", reason=reason, message=message)

    def seen_last(self, name: str) -> None:
        """The cluster does not answer any more."""
        observed = self._virtual[name].observed
        self._virtual[name].observed = replace(observed, stale_since=self._now())
        self._tell(name)

    async def info(self) -> ClusterInfo:
        """See the port."""
        self._answer()
        return ClusterInfo(cpus=8.0, memory=16 * 2**30, version="v1.36.2", nodes=2, owner=self.owner)

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        self._answer()
        return [{"name": "version", "state": "ok", "message": "v1.36.2", "nextStep": ""}]

    async def claim(self, *, take_over: bool = False) -> Mapping[str, Any]:
        """See the port."""
        self._answer()
        return {"owner": self.owner, "before": "other" if take_over else ""}

    async def diff(self, workload: Workload, terms: Terms) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        self._answer()
        present: Observed | None = await self.observe(workload.name)
        if present is None or present.hash == workload.hash():
            return []
        return [{"object": f"Deployment/{workload.name}", "field": "hash", "from": present.hash, "to": workload.hash()}]

    async def forward(self, workload: str) -> int:
        """See the port."""
        self._answer()
        present = await self.observe(workload)
        if present is None or not present.ready:
            raise WorkloadFailed(f"no replica of {workload!r} is ready")
        return 40000

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away
