"""What the nodes of a cluster have, where we may ask. With rights in one namespace alone, nobody tells us.

Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/ (status.allocatable, nodeInfo).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import NODES
from shipway.cluster.kubernetes.check.quantities import amount
from shipway.errors import ClusterRefused

GPU_PRODUCT = "nvidia.com/gpu.product"  # label, by NVIDIA's GPU feature discovery
_GPU = ("gpu", "/mig-")  # in the names of extended resources


@dataclass(frozen=True, slots=True)
class Node:
    """One node that takes Pods. ``allocatable``: resource name to cores, bytes, devices."""

    name: str
    allocatable: Mapping[str, Decimal]
    labels: Mapping[str, str]
    runtime: str  # "containerd://2.1.4"
    platform: str = ""  # "linux/amd64"

    @property
    def extended(self) -> dict[str, int]:
        """Devices by name: ``nvidia.com/gpu``."""
        return {name: int(count) for name, count in self.allocatable.items() if "/" in name and count > 0}

    @property
    def gpus(self) -> dict[str, int]:
        return {name: count for name, count in self.extended.items() if any(sign in name for sign in _GPU)}


async def nodes(api: Api) -> tuple[Node, ...] | None:
    """All that take Pods; None when we may not ask."""
    try:
        listing = await api.list(NODES, into=_node)
    except ClusterRefused as error:
        if error.status == 403:
            return None
        raise
    return tuple(one for one in listing.items if one is not None)


async def taints(api: Api) -> Mapping[str, int] | None:
    """How many nodes have each taint that keeps Pods off; None when we may not ask."""
    try:
        listing = await api.list(NODES, into=_taints)
    except ClusterRefused:
        return None
    return Counter(key for keys in listing.items for key in keys)


def _taints(live: Mapping[str, Any]) -> frozenset[str]:
    found = (live.get("spec") or {}).get("taints") or ()
    return frozenset(one["key"] for one in found if one.get("effect") in ("NoSchedule", "NoExecute"))


def _node(live: Mapping[str, Any]) -> Node | None:
    if (live.get("spec") or {}).get("unschedulable"):
        return None
    status = live.get("status") or {}
    info = status.get("nodeInfo") or {}
    platform = "/".join(filter(None, (info.get("operatingSystem"), info.get("architecture"))))
    return Node(
        live["metadata"]["name"],
        {name: amount(text) for name, text in (status.get("allocatable") or {}).items()},
        live["metadata"].get("labels") or {},
        info.get("containerRuntimeVersion", ""),
        platform,
    )
