"""One end of the socket between server and worker, in an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.wire import FromWorker, ToWorker


class Line(asyncio.BufferedProtocol):
    """Reads where the channel wants the bytes: no message is copied twice."""

    def __init__(self, channel: Channel, heard: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._channel = channel
        self._heard = heard
        self._lost = lost
        self._transport: asyncio.Transport | None = None

    async def open(self, connection: socket.socket) -> None:
        """From now on ``heard`` is called with each frame, and ``lost`` when the other end has gone."""
        connection.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=connection)

    @property
    def is_open(self) -> bool:
        """Whether anybody may still listen."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, frame: ToWorker | FromWorker) -> None:
        """Returns at once. What the other end does not live to read is lost."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._channel.message(frame))

    def cut(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._channel.room()

    def buffer_updated(self, nbytes: int) -> None:
        for frame in self._channel.received(nbytes):
            self._heard(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
