"""How many replicas: by load, and while nodes are drained. Pure.

Source: HorizontalPodAutoscaler autoscaling/v2, PodDisruptionBudget policy/v1.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render.beside import named
from shipway.cluster.kubernetes.render.labels import selector
from shipway.errors import UserError
from shipway.kinds import Target

_LONGEST_WINDOW = 3600  # seconds


def autoscaler(bundle: Bundle, place: Place, labelled: Manifest, controller: str) -> tuple[dict[str, Any], ...]:
    """By load, where that is asked for. ``controller``: the kind of what it scales."""
    scaling = bundle.terms.scaling
    if scaling is None:
        return ()
    window = ceil(scaling.scale_down_after)
    if window > _LONGEST_WINDOW:
        raise UserError(
            f"{bundle.terms.owner.name!r}: scaling.scaleDownAfter is {window} s, and Kubernetes takes at most 3600 s"
        )
    target = {"apiVersion": "apps/v1", "kind": controller, "name": bundle.workload.name}
    return (
        {
            **named("autoscaling/v2", "HorizontalPodAutoscaler", bundle.workload.name, place, labelled),
            "spec": {
                "scaleTargetRef": target,
                "minReplicas": scaling.min_replicas,
                "maxReplicas": scaling.max_replicas,
                "metrics": [_metric(bundle, one) for one in scaling.targets],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": window}},
            },
        },
    )


def budget(bundle: Bundle, place: Place, labelled: Manifest) -> tuple[dict[str, Any], ...]:
    """How many may be away while nodes are drained. Of a single replica there is none: it would keep its node from
    being drained for ever."""
    scaling = bundle.terms.scaling
    most = bundle.workload.replicas if scaling is None else scaling.max_replicas
    if most < 2:
        return ()
    return (
        {
            **named("policy/v1", "PodDisruptionBudget", bundle.workload.name, place, labelled),
            "spec": {
                "maxUnavailable": bundle.terms.disruption.max_unavailable,
                "selector": {"matchLabels": selector(bundle)},
                # A replica that is not ready serves nobody, and must not hold up a drain.
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        },
    )


def _metric(bundle: Bundle, target: Target) -> dict[str, Any]:
    if target.metric not in ("cpu", "memory"):
        average = {"type": "AverageValue", "averageValue": target.average}
        return {"type": "Pods", "pods": {"metric": {"name": target.metric}, "target": average}}
    if target.utilization is None:
        how: dict[str, Any] = {"type": "AverageValue", "averageValue": target.average}
    elif getattr(bundle.terms.resources, target.metric) is None:
        raise UserError(
            f"{bundle.terms.owner.name!r}: scaling by {target.utilization} % of {target.metric} needs "
            f"resources.{target.metric}: per cent of what?",
            next_step=f"give resources: {{{target.metric}: ...}}, or average in place of utilization",
        )
    else:
        how = {"type": "Utilization", "averageUtilization": target.utilization}
    return {"type": "Resource", "resource": {"name": target.metric, "target": how}}
