"""The gateway's port on 127.0.0.1, kept from the moment that it is chosen: Envoy may come minutes later.

A reservation is two sockets. One is bound to the port and does not listen, so that no stranger gets it. Source: Linux,
inet_csk_bind_conflict: a second socket may bind the same port when both have SO_REUSEADDR, as Envoy's listeners do,
and none listens yet. That leave would hold for another hub too, whose port is the same one and whose Envoy is on its
way as well: so the other socket has the port's name in the abstract namespace (unix(7)), which only one can have, and
which the kernel takes back from whoever dies.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from shipway.errors import PortTaken

PREFERRED = range(8100, 8200)

_TRIES = 20  # ports of the kernel's own choice


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port that is ours among all hubs, and, while Envoy is not there, among all programs. Ends with ``close``."""

    port: int
    _held: tuple[socket.socket, ...]

    def close(self) -> None:
        for one in self._held:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reserve_any(preferred: Iterable[int] = PREFERRED) -> Reservation:
    """Keep the first port of ``preferred`` that nobody has or keeps, else any such one. Raises PortTaken."""
    for port in (*preferred, *[0] * _TRIES):
        bound = _bound(port)
        if bound is None:
            continue
        number = int(bound.getsockname()[1])
        if (name := _named(number)) is not None:
            return Reservation(number, (bound, name))
        bound.close()
    raise PortTaken("no port of 127.0.0.1 is free", next_step="Stop programs that listen: `ss -ltnp` names them.")


def reserve_port(port: int) -> Reservation:
    """Keep that port. Raises PortTaken when somebody listens on it, another hub keeps it, or we may not."""
    name = _named(port)
    # Not exclusive: connections of an earlier gateway that linger in TIME_WAIT are no obstacle, as for Envoy.
    bound = name and (_bound(port) or (_bound(port, reuse=True) if _nobody_listens(port) else None))
    if name is not None and bound is not None:
        return Reservation(port, (bound, name))
    if name is not None:
        name.close()
    raise PortTaken(
        f"the gateway cannot listen on 127.0.0.1:{port}: another program does, or the port is not allowed",
        next_step="Set SHIPWAY_GATEWAY_PORT to a free port, or stop the other program "
        f"(`ss -ltnp 'sport = :{port}'` names it).",
    )


def reserve_beside_envoy(port: int) -> Reservation:
    """Keep the port of our Envoy that listens: no other hub takes it while Envoy is started again."""
    name = _named(port)
    return Reservation(port, (name,) if name is not None else ())


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


def _named(port: int) -> socket.socket | None:
    kept = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        kept.bind(f"\0shipway/gateway/127.0.0.1:{port}")
    except OSError:
        kept.close()
        return None
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
