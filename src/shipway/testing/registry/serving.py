"""An HTTP server in a thread of its own: sockets, threads, and how a connection is cut."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
LOOPBACK = "127.0.0.1"
SETTLED = 20.0  # seconds until a client that keeps its connection open is an error of the test


class Serving:
    """Serves each handler on a port of its own until ``stop``; ports that are 0 are chosen at the first start."""

    def __init__(self, handlers: Sequence[Handler]) -> None:
        self._handlers = tuple(handlers)
        self.ports: tuple[int, ...] = tuple(0 for _ in handlers)
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._servers: tuple[web.Server, ...] = ()

    def start(self) -> None:
        """Returns when it listens."""
        sockets = [_listening(port) for port in self.ports]
        self.ports = tuple(one.getsockname()[1] for one in sockets)
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(sockets, ready)), name="fake-registry")
        self._thread.daemon = True  # a test that forgets to stop it does not hang at its end
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Returns when nobody listens and every connection is cut; what was under way is lost."""
        if self._thread and self.loop and self._stop:
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._thread = self.loop = self._stop = None

    def settle(self) -> None:
        """Returns when every connection that was made until now is closed and its last request is answered.

        What a client that went away had sent is still read: a request can come into the log after its client ended.
        """
        for port in self.ports:
            # Connections are accepted in their order: the end of this one means that the ones before it are known.
            with socket.create_connection((LOOPBACK, port)) as last:
                last.shutdown(socket.SHUT_WR)
                last.recv(1)
        if self.loop:
            asyncio.run_coroutine_threadsafe(self._closed(), self.loop).result(timeout=SETTLED)

    async def _closed(self) -> None:
        while any(server.connections for server in self._servers):
            await asyncio.sleep(0.005)

    async def _serve(self, sockets: Sequence[socket.socket], ready: threading.Event) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._servers = tuple(
            web.Server(handler, handler_cancellation=True, access_log=None) for handler in self._handlers
        )
        runners = [web.ServerRunner(server, shutdown_timeout=0.0) for server in self._servers]
        for runner, listening in zip(runners, sockets, strict=True):
            await runner.setup()
            await web.SockSite(runner, listening).start()
        ready.set()
        await self._stop.wait()
        for server in self._servers:
            for connection in list(server.connections):
                if connection.transport is not None:
                    connection.transport.abort()
        for runner in runners:
            await runner.cleanup()


def _listening(port: int) -> socket.socket:
    return socket.create_server((LOOPBACK, port), backlog=256)
