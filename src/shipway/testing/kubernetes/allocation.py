"""What an API server makes up for a new object: addresses and ports of Services, selectors of Jobs, first statuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.testing.kubernetes.schema import Kind

Object = dict[str, Any]


_FIRST: Mapping[str, Object] = {
    "cronjobs": {},
    "deployments": {},
    "horizontalpodautoscalers": {"currentMetrics": None, "desiredReplicas": 0},
    "ingresses": {"loadBalancer": {}},
    "persistentvolumeclaims": {"phase": "Pending"},
    "poddisruptionbudgets": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0},
    "replicasets": {"replicas": 0},
    "resourcequotas": {},
    "statefulsets": {"availableReplicas": 0, "replicas": 0},
}


def allocate(kind: Kind, obj: Object, live: Mapping[str, Any] | None, number: int) -> None:
    """In place; ``number`` makes addresses differ."""
    if kind.plural == "persistentvolumeclaims" and live is None:
        obj["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]
    make = {"services": _service, "jobs": _job, "namespaces": _namespace, "pods": _pod}.get(kind.plural)
    if make is not None:
        make(obj, live, number)
    elif live is None and kind.plural in _FIRST:
        obj.setdefault("status", dict(_FIRST[kind.plural]))


def _service(obj: Object, live: Mapping[str, Any] | None, number: int) -> None:
    spec = obj["spec"]
    if spec["type"] == "ExternalName":
        return
    before = (live or {}).get("spec", {})
    address = before.get("clusterIP") or f"10.0.{number // 250 % 250}.{number % 250 + 1}"
    spec.setdefault("clusterIP", address)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
        known = {port["port"]: port.get("nodePort") for port in before.get("ports", ())}
        for at, port in enumerate(spec.get("ports", ())):
            port.setdefault("nodePort", known.get(port["port"]) or 30000 + (number + at) % 2768)
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if live is None:
        obj["status"] = {"loadBalancer": {}}


def _job(obj: Object, live: Mapping[str, Any] | None, number: int) -> None:
    spec = obj["spec"]  # defaults here, not in a CronJob's template
    for name, value in {"parallelism": 1, "completionMode": "NonIndexed", "suspend": False}.items():
        spec.setdefault(name, value)
    if spec["completionMode"] == "NonIndexed":
        spec.setdefault("completions", 1)
    spec.setdefault("backoffLimit", 2147483647 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    if live is not None or spec.get("manualSelector"):
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    spec["manualSelector"] = False
    for metadata in (spec["template"].setdefault("metadata", {}), obj["metadata"]):
        labels = metadata.setdefault("labels", {})
        for prefix in ("batch.kubernetes.io/", ""):
            labels[f"{prefix}controller-uid"] = uid
            labels[f"{prefix}job-name"] = name
    obj.setdefault("status", {})


def _namespace(obj: Object, live: Mapping[str, Any] | None, number: int) -> None:
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj.setdefault("status", {"phase": "Active"})


def _pod(obj: Object, live: Mapping[str, Any] | None, number: int) -> None:
    spec = obj["spec"]
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    if "tolerations" not in spec or live is None:
        mine = spec.get("tolerations", [])
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if not any(one.get("key") == key for one in mine):
                mine = [*mine, {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]
        spec["tolerations"] = mine
    if live is None:
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            if limits := container["resources"].get("limits"):
                container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
        obj.setdefault("status", {"phase": "Pending", "qosClass": _quality(spec)})


def _quality(spec: Mapping[str, Any]) -> str:
    resources = [one.get("resources", {}) for one in spec["containers"]]
    if not any(one.get("limits") or one.get("requests") for one in resources):
        return "BestEffort"
    equal = all(
        one.get("limits", {}).keys() >= {"cpu", "memory"} and one["limits"] == one["requests"] for one in resources
    )
    return "Guaranteed" if equal else "Burstable"
