"""Immutable values between routes and gateways: upstreams, their endpoints, and the share of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Upstream:
    """The replicas of one revision that may get traffic, as sorted ``host:port``; ``grpc``: where they speak gRPC."""

    name: str
    endpoints: tuple[str, ...] = ()
    grpc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class VirtualRoute:
    """One service's traffic: by path prefix ``/SERVICE/`` (stripped) and by host ``SERVICE.localhost``; gRPC by host,
    or by the metadata ``x-shipway-service: SERVICE``.

    ``weights`` are (upstream name, percent); they need not sum to 100. Empty weights answer 503.
    ``timeout`` in seconds; ``retries`` on another host for connect-failure, refused-stream and reset.
    """

    service: str
    weights: tuple[tuple[str, int], ...]
    timeout: float = 60.0
    retries: int = 1


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything that a gateway serves."""

    upstreams: tuple[Upstream, ...] = ()
    routes: tuple[VirtualRoute, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayState:
    """What a gateway says of itself. ``live``: it shows the table that was applied last as its own."""

    live: bool
    reason: str = ""  # "Programmed", "Unreachable", "Rejected", "Warming"
    message: str = ""
