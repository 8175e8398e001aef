"""Cluster: what each place beyond this machine can do, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shipway import kinds
from shipway.bundle import ClusterInfo
from shipway.controllers.clusters import Clusters
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.updates import find, update
from shipway.errors import ShipwayError
from shipway.kinds import LOCAL, ClusterStatus
from shipway.ports import Clock, Store

_LOOK = timedelta(seconds=60)  # between looks at one that answers
_AGAIN = timedelta(seconds=10)  # and at one that does not


@dataclass(frozen=True, slots=True)
class ClusterController:
    """Looks at a declared place now and then, and writes what it saw."""

    store: Store
    clusters: Clusters
    clock: Clock
    recorder: Recorder

    async def reconcile(self, name: str) -> datetime | None:
        """Look at one place. This machine's own is described when the hub starts."""
        if name == LOCAL:
            return None
        declared = find(self.store, kinds.Cluster, name)
        if declared is None:
            self.clusters.forget(name)
            return None
        try:
            info = await self.clusters.remote(name).info()
        except ShipwayError as error:
            self._write(declared, _unreachable(error))
            self.recorder.event(subject_of(declared), error.code, error.message)
            return self.clock.now() + _AGAIN
        self._write(declared, info)
        return self.clock.now() + _LOOK

    def _write(self, declared: kinds.Cluster, seen: ClusterInfo | tuple[str, str]) -> None:
        now = self.clock.now()

        def change(one: kinds.Cluster) -> kinds.Cluster:
            if isinstance(seen, tuple):
                changed = one.mark_unreachable(*seen, now)
            else:
                changed = one.mark_ready(one.status.model_copy(update=_shown(seen)), now)
            return changed.observed_at(declared.metadata.generation)

        update(self.store, kinds.Cluster, declared.name, change)


def _unreachable(error: ShipwayError) -> tuple[str, str]:
    return error.code, str(error)


def _shown(info: ClusterInfo) -> dict[str, object]:
    status = {name: getattr(info, name) for name in info.__slots__ if name in ClusterStatus.model_fields}
    return {**status, "gpus": dict(info.gpus)}
