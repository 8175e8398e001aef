"""All Routes together: one table for the gateway, and what it confirmed back into each Route."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from shipway.bundle import Observed, Workload
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.revisions import how_ended
from shipway.controllers.updates import all_of, update
from shipway.kinds import Route
from shipway.kinds.route import shares, shares_in_words
from shipway.ports import Clock, Cluster, Gateway, Store
from shipway.routing import plan, table_version
from shipway.traffic import GatewayState, RoutingTable

SUBJECT = "Gateway/gateway"

_RETRY = timedelta(milliseconds=200)  # while Envoy starts, or after it died


class _Applied:
    """The table of one pass, as the journal tells of it: worked out once, for however many routes."""

    def __init__(self, table: RoutingTable) -> None:
        self._table = table

    @cached_property
    def version(self) -> str:
        return table_version(self._table)

    @cached_property
    def replicas(self) -> Mapping[str, int]:
        """Of each upstream, those that are ready."""
        return {one.name: len(one.endpoints) for one in self._table.upstreams}


@dataclass(slots=True)
class GatewayController:
    """Keeps the gateway running while there are routes, and its table equal to them."""

    store: Store
    cluster: Cluster
    gateway: Gateway
    clock: Clock
    workload: Workload
    recorder: Recorder
    last: GatewayState = GatewayState(False, "Idle", "no service has a route yet")
    restarts: int = 0  # of Envoy, since it was brought up
    _told: dict[str, tuple[int, GatewayState]] = field(default_factory=dict)  # routes that say so, by name and version
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def summary(self) -> dict[str, Any]:
        """For ``/healthz``: where services answer, and whether the gateway serves what was asked for."""
        return {
            "url": self.gateway.url("").rstrip("/"),
            "live": self.last.live,
            "reason": self.last.reason,
            "message": self.last.message,
            "restarts": self.restarts,
        }

    async def reconcile(self, name: str) -> datetime | None:
        """Bring the gateway up to the routes; ``name`` is always the gateway's."""
        async with self._lock:
            return await self._reconcile()

    async def _reconcile(self) -> datetime | None:
        routes = all_of(self.store, Route)
        if not routes and await self.cluster.observe(self.workload.name) is None:
            return None
        observed = {one.name: one for one in await self.cluster.list()}
        seen = observed.get(self.workload.name)
        self._count_restarts(seen)
        # Files first: an Envoy that starts, or starts again, finds them.
        table = plan(routes, observed)
        state = await self.gateway.apply(table)
        if all_of(self.store, Route):  # read again: while the gateway took its time, the last one may have gone
            await self._run(seen)
        if not state.live and state.reason == "Unreachable":
            state = await self._ended(state)
        self.last = state
        self.recorder.decision(SUBJECT, state.reason, state.message)
        applied = _Applied(table)
        self._told = {route.name: (self._mark(route, state, applied), state) for route in routes}
        return None if state.live else self.clock.now() + _RETRY

    async def _run(self, seen: Observed | None) -> None:
        """One Envoy. That of another Shipway (an upgrade, another virtual environment) serves our files as well:
        it goes on, connections and all, and is replaced when it ends."""
        if seen is not None and seen.phase == "Stopping":
            return  # a name is free again when its last process has ended, and that wakes us
        if seen is None or seen.hash == self.workload.hash():
            await self.cluster.apply(self.workload)
        elif not seen.ready:
            await self.cluster.delete(self.workload.name)

    def _count_restarts(self, seen: Observed | None) -> None:
        """Every end of Envoy broke the connections that it held: that must be told, also by the next hub."""
        self.restarts = max((one.restarts for one in seen.replicas), default=0) if seen is not None else 0
        if seen is None or not self.restarts:
            return
        last = seen.replicas[0]
        message = f"Envoy {how_ended(last)} and was started again; the connections that it held broke"
        since = seen.started_at.isoformat() if seen.started_at else None
        data = {"restarts": self.restarts, "since": since, "signal": last.signal, "exitCode": last.exit_code}
        self.recorder.event(SUBJECT, "GatewayRestarted", message, data, about=("restarts", "since"))

    async def _ended(self, state: GatewayState) -> GatewayState:
        """A silent gateway whose process has ended says why: in its log, or by its exit."""
        seen = await self.cluster.observe(self.workload.name)
        ended = [one for one in seen.replicas if one.restarts or one.phase == "BackOff"] if seen is not None else []
        if seen is None or not ended:
            return state
        why = seen.tail.strip() or ended[0].message or state.message
        return GatewayState(False, "GatewayEnded", f"Envoy ended: {why}")

    def _record(self, route: Route, applied: _Applied) -> None:
        """Written when the shares of the traffic have changed, before the route shows them as live."""
        before, after = shares(route.status.live_backends), shares(route.spec.backends)
        if before != after:
            replicas = {name: applied.replicas[name] for name in after if name in applied.replicas}
            data = {"before": before, "after": after, "replicas": replicas, "table": applied.version}
            message = f"the traffic of {route.name}: {shares_in_words(before)} -> {shares_in_words(after)}"
            self.recorder.decision(subject_of(route), "Programmed", message, data)

    def _mark(self, route: Route, state: GatewayState, applied: _Applied) -> int:
        """Let the route say the state; the version of it that does, 0 when that is still to be seen."""
        version = route.metadata.resource_version
        if self._told.get(route.name) == (version, state):
            return version
        if state.live:
            self._record(route, applied)
        now = self.clock.now()

        def change(one: Route) -> Route:
            if not state.live:
                return one.mark_not_live(state.reason, state.message, now)
            confirmed = one.model_copy(update={"spec": route.spec}).mark_live(self.gateway.url(route.name), now)
            # The gateway confirmed what this pass read; a spec written meanwhile waits for the next one.
            return one.model_copy(update={"status": confirmed.status})

        written = update(self.store, Route, route.name, change)
        # What was written just now may stand beside a newer spec: only a pass that finds nothing to write knows.
        return version if written is not None and written.metadata.resource_version == version else 0
