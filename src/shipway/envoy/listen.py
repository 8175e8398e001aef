"""The gateway's port on 127.0.0.1."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from shipway.errors import PortTaken

PREFERRED = range(8100, 8200)


def choose_port(preferred: Iterable[int] = PREFERRED) -> int:
    """The first free port of ``preferred``, else any free one. It is free now, not reserved."""
    return next((port for port in preferred if _is_free(port)), 0) or _any_free()


def check_port_free(port: int) -> None:
    """Raises PortTaken when somebody listens on the port (or we may not)."""
    if not _is_free(port):
        raise PortTaken(
            f"the gateway cannot listen on 127.0.0.1:{port}: another program does, or the port is not allowed",
            next_step="Set SHIPWAY_GATEWAY_PORT to a free port, or stop the other program "
            f"(`ss -ltnp 'sport = :{port}'` names it).",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Envoy does it: connections of an earlier gateway that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
