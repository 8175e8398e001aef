"""All Routes together: one table for the gateway, and what it confirmed back into each Route."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shipway.bundle import Observed, Replica, Workload
from shipway.controllers.recorder import Recorder
from shipway.controllers.updates import all_of, update
from shipway.kinds import Route
from shipway.ports import Clock, Cluster, Gateway, Store
from shipway.routing import plan
from shipway.traffic import GatewayState

SUBJECT = "Gateway/gateway"

_RETRY = timedelta(milliseconds=200)  # while Envoy starts, or after it died


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
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        state = await self.gateway.apply(plan(routes, observed))
        if routes:
            await self._run(seen)
        if not state.live and state.reason == "Unreachable":
            state = await self._ended(state)
        self.last = state
        self.recorder.decision(SUBJECT, state.reason, state.message)
        for route in routes:
            self._mark(route, state)
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
        message = f"Envoy ended {_how(last)} and was started again; the connections that it held broke"
        since = seen.started_at.isoformat() if seen.started_at else None
        data = {"restarts": self.restarts, "since": since, "signal": last.signal, "exitCode": last.exit_code}
        self.recorder.event(SUBJECT, "GatewayRestarted", message, data)

    async def _ended(self, state: GatewayState) -> GatewayState:
        """A silent gateway whose process has ended says why: in its log, or by its exit."""
        seen = await self.cluster.observe(self.workload.name)
        ended = [one for one in seen.replicas if one.restarts or one.phase == "BackOff"] if seen is not None else []
        if seen is None or not ended:
            return state
        why = seen.tail.strip() or ended[0].message or state.message
        return GatewayState(False, "GatewayEnded", f"Envoy ended: {why}")

    def _mark(self, route: Route, state: GatewayState) -> None:
        now = self.clock.now()

        def change(one: Route) -> Route:
            if not state.live:
                return one.mark_not_live(state.reason, state.message, now)
            confirmed = one.model_copy(update={"spec": route.spec}).mark_live(self.gateway.url(route.name), now)
            # The gateway confirmed what this pass read; a spec written meanwhile waits for the next one.
            return one.model_copy(update={"status": confirmed.status})

        update(self.store, Route, route.name, change)


def _how(ended: Replica) -> str:
    if ended.signal is not None:
        return f"by signal {ended.signal}"
    return "with its supervisor" if ended.exit_code is None else f"with exit code {ended.exit_code}"
