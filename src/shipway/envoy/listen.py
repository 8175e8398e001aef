"""The gateway's port on 127.0.0.1, kept from the moment that it is chosen: Envoy may come minutes later.

A reservation is a socket that is bound and does not listen. Source: Linux, inet_csk_bind_conflict: a second socket
may bind the same port when both have SO_REUSEADDR, as Envoy's listeners do, and none listens yet. The option is set
only after an exclusive bind, so that of two hubs that choose at the same moment one gets the port.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from shipway.errors import PortTaken

PREFERRED = range(8100, 8200)


def reserve_any(preferred: Iterable[int] = PREFERRED) -> socket.socket:
    """Keep the first port of ``preferred`` that nobody has or keeps, else any such one."""
    for port in preferred:
        if (kept := _bound(port)) is not None:
            return kept
    kept = _bound(0)
    if kept is None:
        raise PortTaken("no port of 127.0.0.1 is free", next_step="Stop programs that listen: `ss -ltnp` names them.")
    return kept


def reserve_port(port: int) -> socket.socket:
    """Keep that port. Raises PortTaken when somebody listens on it (or we may not)."""
    # Not exclusive: connections of an earlier gateway that linger in TIME_WAIT are no obstacle, as for Envoy.
    kept = _bound(port) or (_bound(port, reuse=True) if _nobody_listens(port) else None)
    if kept is None:
        raise PortTaken(
            f"the gateway cannot listen on 127.0.0.1:{port}: another program does, or the port is not allowed",
            next_step="Set SHIPWAY_GATEWAY_PORT to a free port, or stop the other program "
            f"(`ss -ltnp 'sport = :{port}'` names it).",
        )
    return kept


def _bound(port: int, *, reuse: bool = False) -> socket.socket | None:
    kept = socket.socket()
    try:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        kept.bind(("127.0.0.1", port))
    except OSError:
        kept.close()
        return None
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return kept


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
