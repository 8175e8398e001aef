"""The HTTP server in front of :class:`App`: granian, with the limits that one replica needs."""

from __future__ import annotations

import resource
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from shipway.runtime.server.http import events

# A head that does not come, and an idle connection, are ended after that. The gateway ends its idle ones after 4 s.
_HEAD = 30_000  # milliseconds
_CONNECTIONS = 4096  # that are served at a time; more wait in the backlog. Idle ones count, so this is not for load.


def listener(app: Any, host: str, port: int) -> Server:
    """Not listening yet: ``serve()`` does. ``stop()`` ends idle connections and lets others finish."""
    _allow_files(_CONNECTIONS + 1024)
    return Server(
        app,
        host,
        port,
        interface=Interfaces.RSGI,
        websockets=False,
        backlog=1024,
        backpressure=_CONNECTIONS,
        runtime_blocking_threads=events.MOST + 12,
        http1_settings=HTTP1Settings(header_read_timeout=_HEAD),
        # PING finds connections whose other end has vanished; a stream's window bounds what waits in memory.
        http2_settings=HTTP2Settings(keep_alive_interval=_HEAD, max_concurrent_streams=256, max_headers_size=64 * 1024),
        log_enabled=False,
    )


def _allow_files(wanted: int) -> None:
    """As many as it may have: where connections take the last file, granian tries to accept without a pause."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
