"""Cluster: where workloads can run. ``local`` (this machine) always exists."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from shipway.kinds.meta import Object, Status, Value

LOCAL = "local"


class ClusterSpec(Value):
    """Which kind of place it is."""

    type: Literal["local"] = "local"


class ClusterStatus(Status):
    """What the place can do."""

    cpus: float = 0.0
    memory: int = 0  # bytes
    limits: tuple[str, ...] = ()  # what is enforced here: "cpu", "memory"
    notes: tuple[str, ...] = ()  # what is not, and why


class Cluster(Object):
    """A place for workloads."""

    plural: ClassVar[str] = "clusters"

    kind: Literal["Cluster"] = "Cluster"
    spec: ClusterSpec = ClusterSpec()
    status: ClusterStatus = ClusterStatus()

    def mark_ready(self, status: ClusterStatus, now: datetime) -> Self:
        """The place answers and said what it can."""
        return self.with_status(status).with_condition(
            "Ready", "True", "Reachable", f"{status.cpus:g} CPUs, {status.memory / 2**30:.1f} GiB", now
        )
