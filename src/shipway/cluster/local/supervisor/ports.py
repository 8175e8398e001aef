"""Free ports on 127.0.0.1, outside the range from which the kernel takes ports of outgoing connections."""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_LOWEST, _HIGHEST = 15000, 65000


def is_free(port: int) -> bool:
    """Could a server listen there now? A port in TIME_WAIT counts as free, as it does for servers."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def candidates(ephemeral: tuple[int, int]) -> list[int]:
    """Ports that no outgoing connection gets by chance; all of ours when that range leaves too few."""
    low, high = ephemeral
    outside = [port for port in range(_LOWEST, _HIGHEST) if not low <= port <= high]
    return outside if len(outside) >= 1000 else list(range(_LOWEST, _HIGHEST))


def find_free(taken: Container[int]) -> int:
    """A free port that is not in ``taken``. Raises OSError when there is none.

    The start is random: allocators of different homes, which do not know each other, then seldom meet.
    """
    ports = candidates(_ephemeral())
    start = int.from_bytes(os.urandom(4)) % len(ports)
    for port in ports[start:] + ports[:start]:
        if port not in taken and is_free(port):
            return port
    raise OSError("no free port on 127.0.0.1")


def _ephemeral() -> tuple[int, int]:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low, high = file.read().split()
    except (OSError, ValueError):
        return 32768, 60999
    return int(low), int(high)
