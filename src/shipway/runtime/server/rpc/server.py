"""gRPC on its own port, in the event loop that serves HTTP too."""

from __future__ import annotations

import asyncio
from typing import Any

from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.rpc import health, inference
from shipway.runtime.server.rpc.connection import Connection
from shipway.runtime.server.rpc.handlers import service
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State

_LAST_BYTES = 0.05  # seconds between two looks whether all connections have closed


class GrpcServer:
    """The face of one replica. Health says NOT_SERVING by itself once the state is draining."""

    def __init__(self, settings: Settings, repository: Repository, state: State, observer: Observer) -> None:
        models = inference.Inference(settings, repository, state, observer)
        self._settings = settings
        self._methods = {
            **service(inference.SERVICE, models.behaviours),
            **service(health.SERVICE, health.Health(state, (inference.SERVICE,)).behaviours),
        }
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        settings = self._settings
        address = f"{settings.host}:{settings.grpc_port}"
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection,
                settings.host,
                settings.grpc_port,
                backlog=1024,
                reuse_port=False,  # else two servers would share the port silently
            )
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {address} for gRPC: {error.strerror}") from error

    def _connection(self) -> Any:
        return Connection(self._methods, self._settings.server.max_body, self._connections)

    async def stop(self, grace: float) -> None:
        """Take no more calls, and cut those that have not ended within ``grace`` seconds."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.leave()
        give_up = asyncio.get_running_loop().time() + grace
        while self._connections and asyncio.get_running_loop().time() < give_up:
            await asyncio.sleep(_LAST_BYTES)
        for connection in list(self._connections):
            connection.cut()
        await asyncio.sleep(0)
