"""HTTP on its port: accepts connections, looks after those that are slow, and ends them all."""

from __future__ import annotations

import asyncio
import os
import resource
from time import monotonic, time
from typing import Any
from wsgiref.handlers import format_date_time

from shipway.runtime.server.http.connection import Application, Connection, Shared
from shipway.runtime.server.http.heads import Heads
from shipway.runtime.server.http.turn import Turn

_CONNECTIONS = 4096  # that are served at a time; idle ones count, so this is not for load
_LOOK = 1.0  # seconds between two looks at all of them
_LAST_BYTES = 0.02  # seconds between two looks whether they have closed


class HttpServer:
    """The face of one replica. ``most``: bytes of a body."""

    def __init__(self, app: Application, host: str, port: int, most: int) -> None:
        self._host, self._port = host, port
        self._shared = Shared(app, most, _CONNECTIONS, set(), Turn(), Heads())
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        _allow_files(_CONNECTIONS + 1024)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection,
                self._host,
                self._port,
                backlog=1024,
                reuse_port=False,  # else two servers would share the port silently
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)  # asyncio wraps the system's words
            raise OSError(error.errno, f"cannot listen on {self._host}:{self._port}: {reason}") from error
        self._look()

    def drain(self) -> None:
        """Every answer is its connection's last from now on; new connections are still taken."""
        self._shared.leaving = True

    def _leave(self) -> None:
        self.drain()
        if self._server is not None:
            self._server.close()
        for connection in list(self._shared.living):
            connection.leave()

    @property
    def answering(self) -> bool:
        """Whether any request is under way."""
        return any(connection.answering for connection in self._shared.living)

    async def stop(self, grace: float) -> None:
        """Accept no more, close idle connections, and the others with the answer that is under way; cut who has not
        taken it ``grace`` seconds after the last request was answered."""
        self._leave()
        quiet_since = monotonic()
        while self._shared.living and monotonic() - quiet_since < grace:
            await asyncio.sleep(_LAST_BYTES)
            if self.answering:
                quiet_since = monotonic()
        for connection in list(self._shared.living):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    def _connection(self) -> Any:
        return Connection(self._shared)

    def _look(self) -> None:
        self._shared.tell_time(format_date_time(time()).encode())
        now = monotonic()
        for connection in list(self._shared.living):
            connection.look(now)
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)


def _allow_files(wanted: int) -> None:
    """As many as it may have: where connections take the last file, nothing can be accepted nor loaded."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
