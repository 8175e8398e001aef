"""How many replicas, by load; and how few are left when nodes are drained.

Source: HorizontalPodAutoscaler autoscaling/v2, PodDisruptionBudget policy/v1.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shipway.kinds.meta import Value
from shipway.kinds.quantity import Seconds


class Target(Value):
    """What is kept near a value. ``cpu`` and ``memory``: per cent of what a replica asks for, or ``average`` as a
    quantity. Any other name is a metric of the Pods (custom.metrics.k8s.io), with an ``average`` per Pod."""

    metric: str
    utilization: Annotated[int, Field(ge=1, le=1000)] | None = None
    average: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.utilization is None) == (self.average is None):
            raise ValueError("give either utilization (per cent) or average (a quantity per replica)")
        if self.utilization is not None and self.metric not in ("cpu", "memory"):
            raise ValueError(f"utilization is for cpu and memory; for {self.metric!r} give average")
        return self


class Scaling(Value):
    """Replicas between ``min_replicas`` and ``max_replicas``. Needs a metrics-server in the cluster."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    targets: tuple[Target, ...] = (Target(metric="cpu", utilization=80),)
    scale_down_after: Seconds = 300.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"minReplicas {self.min_replicas} is more than maxReplicas {self.max_replicas}")
        return self


class Disruption(Value):
    """Of more than one replica, how many may be away when nodes are drained: a number, or per cent ("25%")."""

    max_unavailable: Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^[1-9][0-9]?%$|^100%$")] = 1


class RollingUpdate(Value):
    """How replicas are exchanged where the cluster does it (Kubernetes' Deployment strategy): numbers or per cent."""

    kind: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    max_surge: int | str = "25%"
    max_unavailable: int | str = 0
