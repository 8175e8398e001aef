"""A port of a Pod as a port of this machine.

Over a WebSocket in the subprotocol ``v4.channel.k8s.io``, of which the kubelet's streaming server is the other end
in every version that we support (1.31 to 1.36: k8s.io/cri-streaming, portforward/websocket.go): one connection a
WebSocket, and a byte in front of each message says which stream it is of. kubectl's newer way,
``SPDY/3.1+portforward.k8s.io``, is all of SPDY inside of a WebSocket, and would take a SPDY of our own. What v4 lacks
is the end of one direction alone: who closes, closes both, which HTTP does not mind.

Since 1.35 it takes the right to ``create`` pods/portforward, before that to ``get`` it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import aiohttp

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import PODS
from shipway.errors import ClusterRefused, ShipwayError

PROTOCOL = "v4.channel.k8s.io"
Target = Callable[[], Awaitable[tuple[str, int]]]

_DATA, _ERROR = 0, 1
_PIECE = 32 << 10  # bytes of a message
_SAID = 500  # characters of what the node complains of

log = logging.getLogger(__name__)


async def forward(
    api: Api, pod: str, namespace: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry one connection until either side ends it; the writer is closed then.

    Raises what Api raises when the Pod cannot be reached, ClusterRefused when nothing listens on that port.
    """
    path = PODS.path(namespace, pod, "portforward")
    try:
        async with api.websocket(path, (PROTOCOL,), (("ports", str(port)),)) as socket:
            up = asyncio.create_task(_up(reader, socket))
            try:
                await _down(socket, writer, f'port {port} of Pod "{pod}" in namespace "{namespace}"')
            finally:
                up.cancel()
                with suppress(asyncio.CancelledError, OSError, aiohttp.ClientError):
                    await up
    finally:
        writer.close()


async def _up(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    while piece := await reader.read(_PIECE):
        await socket.send_bytes(bytes((_DATA,)) + piece)
    await socket.close()


async def _down(socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter, what: str) -> None:
    greeted: set[int] = set()  # the first message of each stream is the port's number
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        stream, piece = message.data[0], message.data[1:]
        if stream not in greeted:
            greeted.add(stream)
        elif stream == _ERROR:
            said = piece.decode(errors="replace")[:_SAID]
            raise ClusterRefused(f"{what}: {said}", next_step="Does the replica listen there, and is it ready?")
        elif stream == _DATA:
            writer.write(piece)
            await writer.drain()


class Forwarder:
    """A listener on 127.0.0.1; ``target`` says for each connection which Pod and port it goes to, so that the next one
    goes elsewhere when a Pod is gone. A connection that cannot be carried is closed, and ``failure`` says why."""

    def __init__(self, api: Api, namespace: str, target: Target) -> None:
        self.failure: ShipwayError | None = None
        self._api = api
        self._namespace = namespace
        self._target = target
        self._server: asyncio.Server | None = None
        self._carried: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """The port that it listens on; 0 takes a free one. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, limit=_PIECE)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """The listener and all connections."""
        if self._server:
            self._server.close()
        for task in tuple(self._carried):
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            pod, port = await self._target()
            await forward(self._api, pod, self._namespace, port, reader, writer)
            self.failure = None
        except ShipwayError as error:
            self.failure = error
            log.warning("port-forward: %s", error.message)
        except (OSError, aiohttp.ClientError) as error:
            log.debug("port-forward: a connection broke: %s", error)
        finally:
            writer.close()
