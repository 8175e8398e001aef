"""Where replicas may run, and beside what: the fields of a Pod that choose its node, in Kubernetes' own words.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/ (assign-pod-node, taint-and-toleration,
topology-spread-constraints, pod-priority-preemption). On this machine there is one node, and they have no effect.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from shipway.kinds.meta import Value

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


class Toleration(Value):
    """Which taint of a node does not keep replicas away."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None


class Spread(Value):
    """Replicas are spread evenly over the values of a node label."""

    topology_key: str
    max_skew: Annotated[int, Field(ge=1)] = 1
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"


class Placement(Value):
    """Which nodes. ``affinity`` is Kubernetes' block of that name, taken as it is."""

    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    affinity: dict[str, Any] = {}
    spread: tuple[Spread, ...] = (Spread(topology_key=HOST), Spread(topology_key=ZONE))
    priority_class: str = ""
    gpu_model: str = ""  # value of the node label nvidia.com/gpu.product: "NVIDIA-A100-SXM4-80GB"
