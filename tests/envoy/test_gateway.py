"""How a change reaches Envoy, and what happens when it does not."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.envoy.changes import table_text
from shipway.envoy.gateway import EnvoyGateway
from shipway.traffic import RoutingTable, Upstream, VirtualRoute
from tests.envoy.stage import Backend, EnvoyProcess, envoy, envoy_files, load, table

pytestmark = pytest.mark.slow

# Nothing that we check by ourselves: Envoy has to say it.
BAD = Upstream("bad-1", ("999.0.0.1:80",))


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.json")}


def and_also(one: RoutingTable, upstream: Upstream) -> RoutingTable:
    route = VirtualRoute("bad", ((upstream.name, 100),))
    return RoutingTable((*one.upstreams, upstream), (*one.routes, route))


def new_hub(one: EnvoyProcess) -> EnvoyGateway:
    return EnvoyGateway(one.folder, one.folder.parent / "run", one.port)


def test_what_envoy_refuses_leaves_all_as_it_was() -> None:
    async def run() -> None:
        async with envoy() as one:
            good = table(a=await one.backend("a"))
            assert (await one.gateway.apply(good)).live
            before = {path: path.read_text() for path in one.folder.rglob("*.json")}
            async with load(one.port, "/digits/", clients=4) as seen:
                for _ in range(2):
                    state = await one.gateway.apply(and_also(good, BAD))
                    assert (state.live, state.reason) == (False, "Rejected")
                    assert "malformed IP address: 999.0.0.1" in state.message
                    assert await one.gateway.state() == state
                await seen.until(50)
            assert not seen.bad
            assert {path: path.read_text() for path in one.folder.rglob("*.json")} == before
            assert (await one.gateway.apply(and_also(good, Upstream("bad-1", ("127.0.0.1:9",))))).live

    asyncio.run(run())


def test_a_file_that_is_not_json_is_reported_and_mended() -> None:
    async def run() -> None:
        async with envoy() as one:
            good = table(a=await one.backend("a"))
            await one.gateway.apply(good)
            broken = one.folder / "broken"
            broken.write_text("{nonsense")
            broken.rename(one.folder / "rds.json")
            async with load(one.port, "/digits/", clients=2) as seen:
                await seen.until(50)
                assert (await one.gateway.apply(good)).live
            assert not seen.bad

    asyncio.run(run())


def test_a_refused_table_from_before_the_start_is_no_trap() -> None:
    async def run() -> None:
        with envoy_files() as one:
            good = table(a=Backend("a", address="127.0.0.1:9"))
            assert (await one.gateway.apply(and_also(good, BAD))).reason == "Unreachable"
            one.start()
            while (state := await one.gateway.state()).reason in ("Unreachable", "Warming"):
                await asyncio.sleep(0.01)
            assert state.reason == "Rejected"
            assert (await new_hub(one).apply(good)).live

    asyncio.run(run())


def test_files_wait_for_envoy() -> None:
    async def run() -> None:
        with envoy_files() as one:
            assert (await one.gateway.state()).reason == "Unreachable"
            backend = await one.backend("a")
            state = await one.gateway.apply(table(a=backend))
            assert (state.live, state.reason) == (False, "Unreachable")
            assert (await one.gateway.state()).reason == "Unreachable"
            assert await one.gateway.active("digits-1") is None
            one.start()
            await one.ready()
            assert (await one.client().ask("/digits/")).json()["backend"] == "a"
            await one.close()

    asyncio.run(run())


def test_an_envoy_that_is_slow_loses_no_order() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            await one.gateway.apply(table(a=a))
            before = times(one.folder)
            assert one.process is not None
            os.kill(one.process.pid, signal.SIGSTOP)
            try:
                state = await one.gateway.apply(table(b=b))
            finally:
                os.kill(one.process.pid, signal.SIGCONT)
            assert (state.live, state.reason) == (False, "Unreachable")
            assert times(one.folder) == before
            assert (await one.gateway.apply(table(b=b))).live
            assert (await one.client().ask("/digits/")).json()["backend"] == "b"

    asyncio.run(run())


def test_kill_9_and_a_new_start_bring_the_last_table_back() -> None:
    async def run() -> None:
        async with envoy() as one:
            await one.gateway.apply(table(a=await one.backend("a")))
            one.end()
            assert (await one.gateway.state()).reason == "Unreachable"
            one.start()
            await one.ready()
            assert (await one.client().ask("/digits/")).json()["backend"] == "a"
            assert (await new_hub(one).state()).live

    asyncio.run(run())


def test_nothing_is_written_when_nothing_changed() -> None:
    async def run() -> None:
        async with envoy() as one:
            good = table(a=await one.backend("a"))
            await one.gateway.apply(good)
            written = times(one.folder)
            assert (await one.gateway.apply(good)).live
            assert (await new_hub(one).apply(good)).live
            assert times(one.folder) == written
            more = replace(good, upstreams=(Upstream("digits-1", ("127.0.0.1:9", *good.upstreams[0].endpoints)),))
            assert (await one.gateway.apply(more)).live
            changed = {Path(path).name for path, at in times(one.folder).items() if at != written.get(path)}
            assert changed == {"digits-1.json", "table.json"}

    asyncio.run(run())


def test_a_hub_that_was_killed_in_the_middle_is_finished_by_the_next() -> None:
    async def run() -> None:
        async with envoy() as one:
            a, b = await one.backend("a"), await one.backend("b")
            old = table(a=a)
            new = RoutingTable((Upstream("digits-2", (b.address,)),), (VirtualRoute("digits", (("digits-2", 1),)),))
            await one.gateway.apply(old)
            async with load(one.port, "/digits/", clients=4) as seen:
                for wait in (0.0, 0.002, 0.004, 0.008, 0.016):
                    for target in (new, old):
                        cut = asyncio.create_task(one.gateway.apply(target))
                        await asyncio.sleep(wait)
                        cut.cancel()
                        await asyncio.wait([cut])
                        assert (await new_hub(one).apply(target)).live
                        await seen.until(10)
            assert not seen.bad

    asyncio.run(run())


def test_a_lost_table_file_loses_no_request() -> None:
    async def run() -> None:
        async with envoy() as one:
            good = table(a=await one.backend("a"))
            await one.gateway.apply(good)
            (one.folder / "table.json").write_text("{half")
            async with load(one.port, "/digits/", clients=4) as seen:
                assert (await new_hub(one).apply(good)).live
                await seen.until(50)
            assert not seen.bad
            assert (one.folder / "table.json").read_text() == table_text(good)

    asyncio.run(run())


def test_a_port_that_is_taken_is_said_and_retried() -> None:
    async def run() -> None:
        with envoy_files() as one, socket.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as most servers do
            stranger.bind(("127.0.0.1", one.port))
            stranger.listen()
            await one.gateway.apply(RoutingTable())
            one.start()
            while (state := await one.gateway.apply(RoutingTable())).reason != "Rejected":
                await asyncio.sleep(0.02)
            assert f"cannot bind '127.0.0.1:{one.port}': Address already in use" in state.message
            stranger.close()
            assert (await one.gateway.apply(RoutingTable())).live

    asyncio.run(run())


def test_two_side_by_side_and_a_hundred_upstreams() -> None:
    async def run() -> None:
        async with envoy() as one, envoy() as two:
            a, b = await one.backend("a"), await two.backend("b")
            names = [f"digits-{number}" for number in range(100)]
            many = RoutingTable(
                tuple(Upstream(name, (a.address,)) for name in names),
                tuple(VirtualRoute(name, ((name, 100),)) for name in names),
            )
            assert (await one.gateway.apply(many)).live
            assert (await two.gateway.apply(table(b=b))).live
            assert (await one.client().ask("/digits-99/x")).json()["backend"] == "a"
            assert (await two.client().ask("/digits/x")).json()["backend"] == "b"
            assert (await one.gateway.apply(RoutingTable())).live
            assert list((one.folder / "endpoints").iterdir()) == []

    asyncio.run(run())


def test_permissions() -> None:
    async def run() -> None:
        async with envoy() as one:
            assert (await one.gateway.apply(table(a=await one.backend("a")))).live
            for path in (one.folder, *one.folder.rglob("*")):
                assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)

    asyncio.run(run())


def test_a_log_that_has_grown_is_cut_and_still_read() -> None:
    async def run() -> None:
        async with envoy() as one:
            log = one.folder / "envoy.log"
            with log.open("a") as stream:
                stream.write("noise\n" * 10**6)
            state = await one.gateway.apply(and_also(RoutingTable(), BAD))
            assert "malformed IP address" in state.message
            assert log.stat().st_size < 2**20

    asyncio.run(run())


def test_sigterm_ends_it_at_once() -> None:
    async def run() -> None:
        async with envoy() as one:
            began = time.monotonic()
            one.end(signal.SIGTERM)
            assert time.monotonic() - began < 3

    asyncio.run(run())
