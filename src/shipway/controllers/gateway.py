"""All Routes together: one table for the gateway, and what it confirmed back into each Route."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shipway.bundle import Workload
from shipway.controllers.recorder import Recorder
from shipway.controllers.updates import all_of, update
from shipway.kinds import Route
from shipway.ports import Clock, Cluster, Gateway, Store
from shipway.routing import plan
from shipway.traffic import GatewayState

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
        # Files first: an Envoy that starts, or starts again, finds them.
        state = await self.gateway.apply(plan(routes, observed))
        if routes:
            await self.cluster.apply(self.workload)
        if not state.live and state.reason == "Unreachable":
            state = await self._ended(state)
        self.last = state
        self.recorder.decision("Gateway/gateway", state.reason, state.message)
        for route in routes:
            self._mark(route, state)
        return None if state.live or not routes else self.clock.now() + _RETRY

    async def _ended(self, state: GatewayState) -> GatewayState:
        """A silent gateway whose process keeps ending says why in its log."""
        seen = await self.cluster.observe(self.workload.name)
        ended = seen is not None and any(one.restarts for one in seen.replicas)
        if seen is None or not ended:
            return state
        return GatewayState(False, "GatewayEnded", f"Envoy ended: {seen.tail.strip() or state.message}")

    def _mark(self, route: Route, state: GatewayState) -> None:
        now = self.clock.now()

        def change(one: Route) -> Route:
            if not state.live:
                return one.mark_not_live(state.reason, state.message, now)
            confirmed = one.model_copy(update={"spec": route.spec}).mark_live(self.gateway.url(route.name), now)
            # The gateway confirmed what this pass read; a spec written meanwhile waits for the next one.
            return one.model_copy(update={"status": confirmed.status})

        update(self.store, Route, route.name, change)
