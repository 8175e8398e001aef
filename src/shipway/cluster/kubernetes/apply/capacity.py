"""Whether any node could take a Pod, however empty it were. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from shipway.cluster.kubernetes.apply.demand import per_pod
from shipway.cluster.kubernetes.check.nodes import Node

# API groups of what makes nodes when Pods wait for one: then what no node has today proves nothing.
_MAKERS = ("karpenter.", "autoscaling.x-k8s.io", "cluster.x-k8s.io")


def may_grow(groups: Sequence[str]) -> bool:
    """Whether nodes may come by themselves, as far as the API's groups tell."""
    return any(maker in group for group in groups for maker in _MAKERS)


def impossible(template: Mapping[str, Any], nodes: Sequence[Node]) -> tuple[str, str]:
    """Why no node of those there are can ever run the Pod, and what to do; two empty strings where one could."""
    selector = (template.get("spec") or {}).get("nodeSelector") or {}
    chosen = [one for one in nodes if all(one.labels.get(key) == value for key, value in selector.items())]
    wanted = {
        name.removeprefix("requests."): count
        for name, count in per_pod(template).items()
        if name.startswith("requests.") and "/" in name and count > 0
    }
    for name, count in sorted(wanted.items()):
        # A device that no node has at all explains more than the label that would have chosen such a node.
        for among, where in ((nodes, ""), (chosen, " with " + _labels(selector))):
            most = max((one.allocatable.get(name, Decimal(0)) for one in among), default=Decimal(0))
            if most < count and (among or not where):
                return _too_few(name, int(count), int(most), len(among), where), _offer(nodes)
    if selector and not chosen:
        return f"no node of {len(nodes)} has the label {_labels(selector)}", _others(selector, nodes)
    return "", ""


def _too_few(name: str, count: int, most: int, nodes: int, where: str) -> str:
    if most == 0:
        return f"asks for {count} {name}, and no node{where} of {nodes} has one"
    return f"asks for {count} {name} in one Pod, and no node{where} has more than {most}"


def _offer(nodes: Sequence[Node]) -> str:
    devices = sorted({name for one in nodes for name in one.extended})
    if devices:
        return f"The nodes have {', '.join(devices)}: set resources.gpuResource, ask for fewer, or add a node."
    return "Ask for none, or add a node; a node whose devices are not seen lacks the vendor's device plugin."


def _others(selector: Mapping[str, str], nodes: Sequence[Node]) -> str:
    there = sorted({f"{key}={one.labels[key]}" for key in selector for one in nodes if key in one.labels})
    return f"There are {', '.join(there)}." if there else "See kubectl get nodes --show-labels; or ask for no label."


def _labels(selector: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
