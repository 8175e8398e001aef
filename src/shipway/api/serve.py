"""Serving: uvicorn in our own event loop, on a Unix socket that is ours from birth, and perhaps on loopback."""

from __future__ import annotations

import asyncio
import errno
import os
import socket as sockets
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from shipway.api.guard import LOOPBACK
from shipway.errors import EnvironmentFault, PortTaken, Refused

_GRACE = 1  # seconds that answers under way have, once the hub stops
_BACKLOG = 128


async def serve(app: Starlette, *, socket: Path, tcp: tuple[str, int] | None, stop: asyncio.Event) -> None:
    """Answer on ``socket`` (mode 0600) and on ``tcp`` until ``stop`` is set; the socket file is gone afterwards.

    From the moment that the socket file exists, connections wait rather than fail. Raises PortTaken when another
    hub answers on the socket or another program listens on the port, Refused for an address that is not loopback.
    """
    app.state.stop = stop
    with _unix_socket(socket) as unix, _tcp_socket(tcp) if tcp else nullcontext() as loopback:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,  # X-Forwarded-For must not decide who somebody is
            timeout_graceful_shutdown=_GRACE,
        )
        await _Server(config, stop).serve(sockets=[unix] if loopback is None else [unix, loopback])


class _Server(uvicorn.Server):
    """Uvicorn, ended by an event: the hub owns the signals, and nothing wakes ten times a second."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # fills in the default headers
        await self._stop.wait()


@contextmanager
def _unix_socket(path: Path) -> Iterator[sockets.socket]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    with closing(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)) as unix:
        # The mode must be right from the first moment: whoever connects before a chmod stays connected.
        before = os.umask(0o177)
        try:
            unix.bind(str(path))
        except OSError as error:
            raise EnvironmentFault(f"cannot make the socket {path}: {error}") from error
        finally:
            os.umask(before)
        ours = path.stat()
        unix.listen(_BACKLOG)
        try:
            yield unix
        finally:
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), ours):  # else a next hub has its own there already
                    path.unlink()


def _remove_stale(path: Path) -> None:
    with closing(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            # A socket of a hub that was killed, or rubbish: the name is ours.
            path.unlink(missing_ok=True)
            return
    raise PortTaken(f"another hub answers on {path}", next_step="Use it, or stop it with 'shipway hub stop'.")


@contextmanager
def _tcp_socket(address: tuple[str, int]) -> Iterator[sockets.socket]:
    host, port = address
    if host not in LOOPBACK:
        raise Refused(f"the hub does not listen on {host}; allowed are {', '.join(sorted(LOOPBACK))}")
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    with closing(sockets.socket(family, sockets.SOCK_STREAM)) as loopback:
        loopback.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            loopback.bind((host, port))
            loopback.listen(_BACKLOG)
        except OSError as error:
            cls = PortTaken if error.errno == errno.EADDRINUSE else EnvironmentFault
            raise cls(f"cannot listen on {host}:{port}: {error.strerror}", next_step="Choose another port.") from error
        yield loopback
