"""The hub's real parts behind its real API, in one thread: SQLite, OCI layout, secrets, local cluster. Nothing runs.

No controller is started, so that no object of a test becomes a process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shipway import home
from shipway.api.app import build
from shipway.api.backend import DownRequest
from shipway.api.serve import serve
from shipway.app import Hub, compose
from shipway.client import HubClient
from shipway.settings import Settings
from tests.api.served_hub import free_port

_PATIENCE = 0.01  # seconds that a client reads of a stream


@dataclass(frozen=True)
class Stage:
    """Where the served hub is."""

    settings: Settings
    hub: Hub
    url: str
    token: str

    @property
    def client(self) -> HubClient:
        """As the command line has it: on the Unix socket."""
        return HubClient(self.settings.hub_socket, timeout=10)


@contextmanager
def served(folder: Path, *, impatient: bool = False) -> Iterator[Stage]:
    """A served home in ``folder``. ``impatient`` clients hang up on streams at once, instead of reading for ever."""
    where = Settings(home=folder, temporary=folder)
    home.own(where)
    hub = compose(where)
    stop, listening = asyncio.Event(), threading.Event()
    port = free_port()
    loops: list[asyncio.AbstractEventLoop] = []

    async def down(request: DownRequest) -> list[str]:
        # The real one waits for controllers to end what runs, and there are none.
        return [f"{kind}/{name}" for kind, name in _delete(hub, request)]

    backend = replace(hub.backend, down=down, shutdown=lambda: None)
    token = home.token(where)

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        app = build(backend, token)
        if impatient:
            app.add_middleware(HangsUp)
        serving = asyncio.ensure_future(serve(app, socket=where.hub_socket, tcp=("127.0.0.1", port), stop=stop))
        await asyncio.sleep(0)
        listening.set()
        await serving
        await hub.cluster.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert listening.wait(10)
    try:
        yield Stage(where, hub, f"http://127.0.0.1:{port}", token)
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()
        hub.backend.store.close()
        hub.backend.journal.close()
        hub.port.close()


def _delete(hub: Hub, request: DownRequest) -> list[tuple[str, str]]:
    known = {one.key for one in hub.backend.store.list()[0]}
    return [(one.kind, one.name) for one in request.objects if (one.kind, one.name) in known]


class HangsUp:
    """A client that leaves as soon as it has sent its request and waited for a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = False

        async def leaving() -> Message:
            nonlocal read
            if read:
                await asyncio.sleep(_PATIENCE)
                return {"type": "http.disconnect"}
            message = await receive()
            read = not message.get("more_body", False)
            return message

        await self._app(scope, leaving, send)
