"""gRPC's standard health service: what load balancers and Kubernetes ask.

Source: gRPC Health Checking Protocol, doc/health-checking.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.rpc.handlers import Context, Stream, Unary
from shipway.runtime.server.rpc.messages import message
from shipway.runtime.server.state import Phase, State

SERVICE = "grpc.health.v1.Health"


class Health:
    """Whether this server takes requests: the same for the whole (the empty name) and for each of ``services``."""

    def __init__(self, state: State, services: tuple[str, ...]) -> None:
        self._state = state
        self._services = ("", *services)
        self._response = message("grpc.health.v1.HealthCheckResponse")

    @property
    def behaviours(self) -> dict[str, Unary | Stream]:
        """Its methods by name."""
        return {"Check": self.check, "Watch": self.watch}

    async def check(self, request: Any, _context: Context) -> bytes:
        """The status now. Raises Refused NOT_FOUND."""
        if request.service not in self._services:
            raise Refused(
                Reason.NOT_FOUND, f"unknown service {request.service!r}: this server has {self._services[1:]}"
            )
        return self._answer("SERVING" if self._state.ready else "NOT_SERVING")

    async def watch(self, request: Any, _context: Context) -> AsyncIterator[bytes]:
        """The status now and at each change. It ends with the server: an open watch would hold up its end."""
        known = request.service in self._services
        while True:
            yield self._answer("SERVICE_UNKNOWN" if not known else "SERVING" if self._state.ready else "NOT_SERVING")
            if self._state.phase is Phase.DRAINING:
                return
            await self._state.until_changed()

    def _answer(self, status: str) -> bytes:
        data: bytes = self._response(status=status).SerializeToString()
        return data
