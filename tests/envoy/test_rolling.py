"""Not one failed request: changes and deaths under load."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shipway.traffic import RoutingTable, Upstream, VirtualRoute
from tests.envoy.stage import Backend, envoy, load, table

pytestmark = pytest.mark.slow

BODY = b"x" * 3000


def revision(number: int, *backends: Backend, weights: tuple[tuple[str, int], ...] = ()) -> RoutingTable:
    upstream = Upstream(f"digits-{number}", tuple(sorted(one.address for one in backends)))
    return RoutingTable((upstream,), (VirtualRoute("digits", weights or ((upstream.name, 100),)),))


def test_a_rolling_change_fails_no_request() -> None:
    async def run() -> None:
        async with envoy() as one:
            await one.gateway.apply(revision(0, old := await one.backend("0")))
            async with load(one.port, "/digits/predict", body=BODY) as seen:
                for number in range(1, 8):
                    new = await one.backend(str(number))
                    await seen.until(100)
                    assert (await one.gateway.apply(revision(number, new))).live
                    await asyncio.sleep(0.05)  # the drain time of those under way
                    old.kill()
                    old = new
                await seen.until(100)
            assert not seen.bad
            assert len(seen.good) == 8

    asyncio.run(run())


@pytest.mark.parametrize("body", [None, BODY])
def test_the_death_of_a_replica_fails_no_request(body: bytes | None) -> None:
    async def run() -> None:
        async with envoy() as one:
            for _ in range(3):
                a, b = await one.backend("a"), await one.backend("b")
                assert (await one.gateway.apply(table(a=a, b=b))).live
                async with load(one.port, "/digits/predict", clients=32, body=body) as seen:
                    await seen.until(300)
                    a.kill()
                    await seen.until(600)  # with nobody to take the endpoint away
                assert not seen.bad
                assert seen.good["b"] > 600
                b.kill()

    asyncio.run(run())


def test_without_retries_failures_show() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            assert (await one.gateway.apply(table(a=a, b=b, retries=0))).live
            async with load(one.port, "/digits/predict") as seen:
                await seen.until(200)
                a.kill()
                await seen.until(300)
            assert seen.bad

    asyncio.run(run())


def test_a_dead_endpoint_is_left_and_the_only_one_is_not() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a, b=b, retries=0))
            a.kill()
            client = one.client()
            statuses = [(await client.ask("/digits/")).status for _ in range(100)]
            # Five, and then it is ejected; the worker that asks hears of that a moment later.
            assert 5 <= statuses.count(503) <= 10
            await one.gateway.apply(table("alone", b=b, retries=0))
            for _ in range(12):
                assert (await client.ask("/alone/die")).status == 503
            assert (await client.ask("/alone/")).status == 200

    asyncio.run(run())


def test_what_began_to_answer_is_not_tried_again() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a, b=b))
            client = one.client()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.ask("/digits/half")
            assert a.asked["/half"] + b.asked["/half"] == 1
            assert (await client.ask("/digits/die")).status == 503
            assert (a.asked["/die"], b.asked["/die"]) == (1, 1)

    asyncio.run(run())


def test_a_replica_that_loads_behind_an_open_port_is_passed_over() -> None:
    """One that died and is started again, before the hub has looked: Envoy still has it among the endpoints."""

    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a, b=b))
            a.loading = True
            client = one.client()
            for _ in range(40):
                assert (await client.ask("/digits/x")).json()["backend"] == "b"
            assert a.asked["/x"] > 0
            b.loading = True
            assert (await client.ask("/digits/x")).status == 503

    asyncio.run(run())


def test_a_timeout_is_not_tried_again() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a, b=b, timeout=0.05))
            client = one.client()
            assert (await client.ask("/digits/sleep")).status == 504
            assert a.asked["/sleep"] + b.asked["/sleep"] == 1

    asyncio.run(run())


@pytest.mark.parametrize(("megabytes", "status", "asked"), [(24, 503, 2), (40, 503, 1)])
def test_bodies_are_kept_for_a_retry_up_to_a_size(megabytes: int, status: int, asked: int) -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a, b=b))
            client = one.client()
            body = bytes(megabytes * 2**20)
            assert (await client.ask("/digits/", body=body)).json()["size"] == len(body)
            assert (await client.ask("/digits/die", body=body)).status == status
            assert a.asked["/die"] + b.asked["/die"] == asked

    asyncio.run(run())


def test_a_request_under_way_outlives_its_upstream() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(revision(1, a))
            client = one.client()
            slow = asyncio.create_task(client.ask("/digits/sleep"))
            while not a.asked["/sleep"]:
                await asyncio.sleep(0.005)
            assert await one.gateway.active("digits-1") == 1
            assert (await one.gateway.apply(revision(2, b))).live
            assert await one.gateway.active("digits-1") == 1
            assert (await slow).json()["backend"] == "a"
            assert await one.gateway.active("digits-1") == 0
            assert (await client.ask("/digits/")).json()["backend"] == "b"

    asyncio.run(run())


def test_many_changes_of_weights_under_load() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            both = RoutingTable(
                (Upstream("digits-1", (a.address,)), Upstream("digits-2", (b.address,))), revision(1, a).routes
            )
            await one.gateway.apply(both)
            async with load(one.port, "/digits/") as seen:
                for percent in range(0, 101, 5):
                    route = replace(both.routes[0], weights=(("digits-1", 100 - percent), ("digits-2", percent)))
                    assert (await one.gateway.apply(replace(both, routes=(route,)))).live
                    await seen.until(20)
            assert not seen.bad

    asyncio.run(run())
