"""A port of a Pod, with a server that speaks as the kubelet does (k8s.io/cri-streaming, portforward/websocket.go)."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aiohttp import WSMsgType, web

from shipway.cluster.kubernetes.api.forward import PROTOCOL, Forwarder
from shipway.errors import ClusterRefused
from tests.cluster.kubernetes.api.scripted import Answer, refuses, served


async def echo(request: web.Request) -> web.StreamResponse:
    """Answers in capitals, and ends when it is told to."""
    assert request.path.endswith("/pods/digits-0/portforward") and request.query["ports"] == "8080"
    socket = web.WebSocketResponse(protocols=(PROTOCOL,))
    await socket.prepare(request)
    for stream in (0, 1):
        await socket.send_bytes(bytes((stream,)) + struct.pack("<H", 8080))
    async for message in socket:
        assert message.type is WSMsgType.BINARY and message.data[0] == 0
        if message.data[1:] == b"bye":
            break
        await socket.send_bytes(b"\0" + message.data[1:].upper())
    await socket.close()
    return socket


async def deaf(request: web.Request) -> web.StreamResponse:
    """Nothing listens on that port."""
    socket = web.WebSocketResponse(protocols=(PROTOCOL,))
    await socket.prepare(request)
    await socket.send_bytes(b"\0" + struct.pack("<H", 8080))
    await socket.send_bytes(b"\1" + struct.pack("<H", 8080))
    await socket.send_bytes(b"\1error forwarding port 8080: connection refused")
    await socket.close()
    return socket


async def to() -> tuple[str, int]:
    return "digits-0", 8080


def test_bytes_go_both_ways_until_one_side_ends() -> None:
    async def go() -> None:
        async with served(echo) as script, script.api() as api:
            forwarder = Forwarder(api, "ml", to)
            port = await forwarder.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"HELLO"
            large = b"x" * 300_000
            writer.write(large)
            assert await reader.readexactly(len(large)) == large.upper()
            await writer.drain()
            writer.write(b"bye")
            assert await reader.read() == b""
            writer.close()
            assert script.seen[0].headers["Sec-WebSocket-Protocol"] == PROTOCOL
            await forwarder.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    "answer, message",
    [
        (deaf, 'port 8080 of Pod "digits-0" in namespace "ml": error forwarding port 8080: connection refused'),
        (
            refuses(403, 'User "anna" cannot create resource "pods/portforward"', "Forbidden"),
            "may not create pods/portforward",
        ),
    ],
    ids=["nothing listens", "no right"],
)
def test_why_it_cannot_be_carried_is_told(answer: Answer, message: str) -> None:
    async def go() -> None:
        async with served(answer) as script, script.api() as api:
            forwarder = Forwarder(api, "ml", to)
            reader, writer = await asyncio.open_connection("127.0.0.1", await forwarder.start())
            assert await reader.read() == b""
            writer.close()
            assert isinstance(forwarder.failure, ClusterRefused)
            assert message in forwarder.failure.message
            await forwarder.close()

    asyncio.run(go())


def test_closing_ends_the_connections_too() -> None:
    async def go() -> None:
        async with served(echo) as script, script.api() as api:
            forwarder = Forwarder(api, "ml", to)
            reader, writer = await asyncio.open_connection("127.0.0.1", await forwarder.start())
            writer.write(b"a")
            await reader.readexactly(1)
            await forwarder.close()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(go())
