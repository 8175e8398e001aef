"""gRPC through the gateway's one port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from shipway.traffic import RoutingTable, Upstream, VirtualRoute
from tests.envoy.stage import EnvoyProcess, envoy, table

pytestmark = pytest.mark.slow

METHOD = "/any.Service/Method"


@asynccontextmanager
async def speaker(name: str, *, pause: asyncio.Event | None = None) -> AsyncIterator[str]:
    """A server that answers each call with its name and what it was sent; ``host:port``."""

    async def answer(data: bytes, context: Any) -> bytes:
        if pause is not None:
            await pause.wait()
        told = dict(context.invocation_metadata())
        return f"{name} {len(data)} {told.get('x-real-ip')}".encode()

    async def echo(stream: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for data in stream:
            yield data

    handlers = {
        "Method": grpc.unary_unary_rpc_method_handler(answer),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
    }
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("any.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def channel(one: EnvoyProcess, authority: str = "") -> AsyncIterator[grpc.aio.Channel]:
    """To the gateway, under its own name or that of a service."""
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    if authority:
        options.append(("grpc.default_authority", authority))
    async with grpc.aio.insecure_channel(f"localhost:{one.port}", options=options) as opened:
        yield opened


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


def speaking(plain: RoutingTable, *addresses: str) -> RoutingTable:
    (upstream,) = plain.upstreams
    return replace(plain, upstreams=(replace(upstream, grpc=addresses),))


def test_by_authority_and_by_metadata_beside_http() -> None:
    async def run() -> None:
        async with envoy() as one, speaker("a") as address:
            backend = await one.backend("a")
            assert (await one.gateway.apply(speaking(table(a=backend), address))).live
            for authority in ("digits.localhost", f"digits.localhost:{one.port}"):
                async with channel(one, authority) as opened:
                    assert await opened.unary_unary(METHOD)(b"123", metadata=[("x-real-ip", "liar")]) == b"a 3 None"
            async with channel(one) as opened:
                named = [("x-shipway-service", "digits")]
                assert await opened.unary_unary(METHOD)(b"", metadata=named) == b"a 0 None"
                code, words = await code_of(opened.unary_unary(METHOD)(b""))
                assert (code, "x-shipway-service: NAME" in words) == (grpc.StatusCode.UNIMPLEMENTED, True)
                other = [("x-shipway-service", "other")]
                assert (await code_of(opened.unary_unary(METHOD)(b"", metadata=other)))[0] is code
            assert (await one.client().ask("/predict", host="digits.localhost")).json()["backend"] == "a"
            assert (await one.client().ask("/digits/predict")).json()["path"] == "/predict"

    asyncio.run(run())


def test_other_hosts_are_refused() -> None:
    async def run() -> None:
        async with envoy() as one, speaker("a") as address:
            assert (await one.gateway.apply(speaking(table(a=await one.backend("a")), address))).live
            async with channel(one, "evil.example") as opened:
                named = [("x-shipway-service", "digits")]
                code, _ = await code_of(opened.unary_unary(METHOD)(b"", metadata=named))
                assert code is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(run())


def test_large_messages_and_streams_go_through() -> None:
    async def run() -> None:
        async with envoy() as one, speaker("a") as address:
            assert (await one.gateway.apply(speaking(table(a=await one.backend("a")), address))).live
            async with channel(one, "digits.localhost") as opened:
                large = bytes(40 * 2**20)
                assert await opened.unary_unary(METHOD)(large) == f"a {len(large)} None".encode()
                stream = opened.stream_stream("/any.Service/Echo")()
                for text in (b"one", b"two"):
                    await stream.write(text)
                    assert await stream.read() == text
                await stream.done_writing()
                assert await stream.read() is grpc.aio.EOF

    asyncio.run(run())


def test_nobody_ready_is_unavailable_and_a_dead_replica_is_tried_elsewhere() -> None:
    async def run() -> None:
        async with envoy() as one, speaker("b") as alive, channel(one, "digits.localhost") as opened:
            asleep = RoutingTable((Upstream("digits-1"),), (VirtualRoute("digits", (("digits-1", 100),)),))
            assert (await one.gateway.apply(asleep)).live
            async with channel(one) as by_metadata:
                for call in (
                    opened.unary_unary(METHOD)(b""),
                    by_metadata.unary_unary(METHOD)(b"", metadata=[("x-shipway-service", "digits")]),
                ):
                    code, words = await code_of(call)
                    assert (code, "no ready replica" in words) == (grpc.StatusCode.UNAVAILABLE, True)
            backend = await one.backend("a")
            assert (await one.gateway.apply(speaking(table(a=backend), "127.0.0.1:9", alive))).live
            for _ in range(20):
                assert await opened.unary_unary(METHOD)(b"") == b"b 0 None"

    asyncio.run(run())


def test_the_shares_and_the_requests_under_way_count_grpc_too() -> None:
    async def run() -> None:
        pause = asyncio.Event()
        async with envoy() as one, speaker("a", pause=pause) as a, speaker("b") as b:
            web = await one.backend("web")
            upstreams = (Upstream("d-1", (web.address,), (a,)), Upstream("d-2", (web.address,), (b,)))
            first = RoutingTable(upstreams, (VirtualRoute("digits", (("d-1", 100), ("d-2", 0))),))
            assert (await one.gateway.apply(first)).live
            async with channel(one, "digits.localhost") as opened:
                slow = asyncio.ensure_future(opened.unary_unary(METHOD)(b""))
                while await one.gateway.active("d-1") != 1:
                    await asyncio.sleep(0.01)
                second = RoutingTable(upstreams[1:], (VirtualRoute("digits", (("d-2", 100),)),))
                assert (await one.gateway.apply(second)).live
                assert await opened.unary_unary(METHOD)(b"") == b"b 0 None"
                pause.set()
                assert await slow == b"a 0 None"
                assert await one.gateway.active("d-1") == 0

    asyncio.run(run())
