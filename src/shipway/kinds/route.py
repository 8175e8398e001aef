"""Route: which revisions of a service get which share of its traffic. Made by Shipway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from shipway.kinds.meta import Name, Object, Status, Value
from shipway.kinds.quantity import Seconds


class Backend(Value):
    """One revision, its weight in percent, and how many of its replicas (the first ones) may get traffic.

    The count is here so that a replica leaves the gateway before it is stopped.
    """

    revision: str
    weight: Annotated[int, Field(ge=0, le=100)] = 100
    replicas: Annotated[int, Field(ge=0)] = 1


def shares(backends: Iterable[Backend]) -> dict[str, int]:
    """Percent of the traffic by revision, JSON-ready."""
    return {one.revision: one.weight for one in backends}


def shares_in_words(shares: Mapping[str, int] | None) -> str:
    """``digits-00001 90 %, digits-00002 10 %``."""
    return ", ".join(f"{name} {percent} %" for name, percent in (shares or {}).items()) or "nobody"


class RouteSpec(Value):
    """Weights over revisions, and how a request is tried."""

    service: Name
    backends: tuple[Backend, ...] = ()
    timeout: Seconds = 60.0
    retries: Annotated[int, Field(ge=0, le=5)] = 1


class RouteStatus(Status):
    """What the gateway made of it."""

    url: str = ""
    live_backends: tuple[Backend, ...] = ()  # what the gateway confirmed


class Route(Object):
    """Traffic of one service."""

    plural: ClassVar[str] = "routes"

    kind: Literal["Route"] = "Route"
    spec: RouteSpec
    status: RouteStatus = RouteStatus()

    def mark_live(self, url: str, now: datetime) -> Self:
        """The gateway shows this configuration as its own."""
        status = self.status.model_copy(update={"url": url, "live_backends": self.spec.backends})
        return self.with_status(status).with_condition("Programmed", "True", "Programmed", url, now)

    def mark_not_live(self, reason: str, message: str, now: datetime) -> Self:
        """The gateway refused the configuration, or does not answer."""
        return self.with_condition("Programmed", "False", reason, message, now)
