"""FakeGateway, and the suite that every Gateway passes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from shipway.envoy.changes import refusal
from shipway.ports import Gateway
from shipway.traffic import GatewayState, RoutingTable, Upstream, VirtualRoute

MakeGateway = Callable[[], AbstractAsyncContextManager[Gateway]]


class FakeGateway:
    """A gateway that serves nobody. ``tables`` are those that went live, oldest first; ``table`` is the last.

    ``outage`` makes it answer with that state instead: ``GatewayState(False, "Unreachable", ...)`` keeps the
    table for the time after, ``"Rejected"`` drops it, as Envoy does. ``requests`` is what ``active`` tells.
    """

    def __init__(self, port: int = 8100) -> None:
        self.tables: list[RoutingTable] = [RoutingTable()]
        self.outage: GatewayState | None = None
        self.requests: dict[str, int] = {}
        self._port = port
        self._refused: GatewayState | None = None

    @property
    def table(self) -> RoutingTable:
        """What it serves."""
        return self.tables[-1]

    def url(self, service: str) -> str:
        """Where a service would answer."""
        return f"http://127.0.0.1:{self._port}/{service}"

    async def apply(self, table: RoutingTable) -> GatewayState:
        """Live at once, unless the table is nonsense or there is an outage."""
        nonsense = refusal(table)
        self._refused = GatewayState(False, "Rejected", nonsense) if nonsense else None
        if self.outage and self.outage.reason == "Rejected":
            self._refused = self.outage
        if not self._refused and table != self.table:
            self.tables.append(table)
        return await self.state()

    async def state(self) -> GatewayState:
        """How it is now."""
        return self.outage or self._refused or GatewayState(True, "Programmed")

    async def active(self, upstream: str) -> int | None:
        """Requests under way, as set in ``requests``."""
        silent = self.outage is not None and self.outage.reason == "Unreachable"
        return None if silent else self.requests.get(upstream, 0)


def check_gateway(make: MakeGateway) -> None:
    """What the port promises, on a gateway that runs. ``make`` gives a fresh one for every check."""
    for check in (
        _urls_end_with_the_service,
        _a_table_goes_live_and_state_agrees,
        _services_without_replicas_are_fine,
        _applying_twice_changes_nothing,
        _a_rollout_goes_live_step_by_step,
        _nothing_is_under_way_without_requests,
        _nonsense_is_rejected_and_a_good_table_mends_it,
    ):
        asyncio.run(_on_a_fresh_one(make, check))


async def _on_a_fresh_one(make: MakeGateway, check: Callable[[Gateway], Awaitable[None]]) -> None:
    async with make() as gateway:
        await check(gateway)


TABLE = RoutingTable(
    upstreams=(Upstream("digits-1", ("127.0.0.1:1", "127.0.0.1:2")), Upstream("digits-2", ("127.0.0.1:3",))),
    routes=(VirtualRoute("digits", (("digits-1", 100),)),),
)
"""One service, two revisions, all traffic on the first."""

_LIVE = GatewayState(True, "Programmed")


async def _urls_end_with_the_service(gateway: Gateway) -> None:
    assert gateway.url("digits").startswith("http://")
    assert gateway.url("digits").endswith("/digits")


async def _a_table_goes_live_and_state_agrees(gateway: Gateway) -> None:
    assert await gateway.apply(TABLE) == _LIVE
    assert await gateway.state() == _LIVE


async def _services_without_replicas_are_fine(gateway: Gateway) -> None:
    nothing_yet, asleep = VirtualRoute("new", ()), VirtualRoute("asleep", (("asleep-1", 100), ("digits-1", 0)))
    upstreams = (*TABLE.upstreams, Upstream("asleep-1"))
    assert await gateway.apply(RoutingTable(upstreams, (*TABLE.routes, nothing_yet, asleep))) == _LIVE


async def _applying_twice_changes_nothing(gateway: Gateway) -> None:
    for table in (RoutingTable(), RoutingTable(), TABLE, TABLE, RoutingTable(), TABLE):
        assert await gateway.apply(table) == _LIVE


async def _a_rollout_goes_live_step_by_step(gateway: Gateway) -> None:
    for weights in ((("digits-1", 90), ("digits-2", 10)), (("digits-1", 1), ("digits-2", 1)), (("digits-2", 100),)):
        route = VirtualRoute("digits", weights, timeout=2.5, retries=0)
        assert await gateway.apply(replace(TABLE, routes=(route,))) == _LIVE
    assert await gateway.apply(RoutingTable(TABLE.upstreams[1:], (route,))) == _LIVE


async def _nothing_is_under_way_without_requests(gateway: Gateway) -> None:
    assert await gateway.active("digits-1") == 0
    await gateway.apply(TABLE)
    assert await gateway.active("digits-1") == 0
    assert await gateway.active("never.heard[of") == 0


async def _nonsense_is_rejected_and_a_good_table_mends_it(gateway: Gateway) -> None:
    first, route = TABLE.upstreams[0], TABLE.routes[0]
    for nonsense, named in (
        (replace(TABLE, upstreams=()), "digits-1"),
        (replace(TABLE, upstreams=(first, first)), "digits-1"),
        (replace(TABLE, routes=(route, route)), "digits"),
        (replace(TABLE, routes=(replace(route, service="a b"),)), "a b"),
        (replace(TABLE, routes=(replace(route, retries=-1),)), "digits"),
        (replace(TABLE, upstreams=(Upstream("a/../b"), *TABLE.upstreams)), "a/../b"),
        (replace(TABLE, upstreams=(replace(first, endpoints=("nowhere",)),)), "nowhere"),
    ):
        assert (await gateway.apply(TABLE)).live
        refused = await gateway.apply(nonsense)
        assert (refused.live, refused.reason) == (False, "Rejected")
        assert named in refused.message
        assert await gateway.state() == refused
    assert await gateway.apply(TABLE) == _LIVE
    assert await gateway.state() == _LIVE
