"""What objects ask of a namespace's quotas and of nodes. Pure.

Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/; a Pod's requests as the scheduler counts them:
https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

from shipway.cluster.kubernetes.api.resources import resource_of
from shipway.cluster.kubernetes.apply.decide import Key, key_of
from shipway.cluster.kubernetes.check.quantities import amount
from shipway.cluster.kubernetes.names import Manifest

_ZERO = Decimal(0)
_OLD_NAMES = frozenset({"services", "secrets", "configmaps", "persistentvolumeclaims", "pods"})  # beside count/...


@dataclass(frozen=True, slots=True)
class Excess:
    """A quota that would be exceeded."""

    quota: str
    resource: str
    hard: Decimal
    used: Decimal
    asked: Decimal


def pod_template(manifest: Manifest) -> Mapping[str, Any] | None:
    """Of what makes Pods; None for all else."""
    spec = manifest.get("spec") or {}
    match manifest["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            return spec.get("template") or {}
        case "CronJob":
            return ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
        case _:
            return None


def per_pod(template: Mapping[str, Any]) -> dict[str, Decimal]:
    """What one Pod asks for: ``requests.cpu``, ``limits.memory``, ``requests.nvidia.com/gpu``."""
    spec = template.get("spec") or {}
    starting = spec.get("initContainers") or ()
    beside = [one for one in starting if one.get("restartPolicy") == "Always"]
    once = [one for one in starting if one.get("restartPolicy") != "Always"]
    running = _sum([*(spec.get("containers") or ()), *beside])
    names = {*running, *(name for one in once for name in _container(one))}
    # An init container runs with the sidecars that stand before it; all of them is the safe side.
    side = _sum(beside)
    most = {name: max([_container(one).get(name, _ZERO) for one in once], default=_ZERO) for name in names}
    return {name: max(running.get(name, _ZERO), most[name] + side.get(name, _ZERO)) for name in names}


def asked(manifests: Iterable[Manifest], live: Mapping[Key, Manifest]) -> dict[str, Decimal]:
    """What is asked beyond what ``live`` (the same objects, whole, where they exist) already uses."""
    objects = list(manifests)
    scaled = {
        (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"]): int(
            one["spec"].get("minReplicas") or 1
        )
        for one in objects
        if one["kind"] == "HorizontalPodAutoscaler"
    }
    total: dict[str, Decimal] = {}
    for one in objects:
        before = live.get(key_of(one))
        fallback = scaled.get((one["kind"], one["metadata"]["name"]), 1)
        _add(total, _object(one, fallback), Decimal(1))
        if before is not None:
            _add(total, _object(before, fallback), Decimal(-1))
        _add(total, _surge(one, before, fallback), Decimal(1))
    return total


def exceeded(quotas: Iterable[Manifest], wanted: Mapping[str, Decimal]) -> tuple[Excess, ...]:
    """Quotas that have no room for it. Quotas of a scope (BestEffort, a priority class) are left to the API server."""
    found = []
    for quota in quotas:
        spec, status = quota.get("spec") or {}, quota.get("status") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        used = status.get("used") or {}
        for resource, text in (status.get("hard") or spec.get("hard") or {}).items():
            more, hard, taken = wanted.get(_full(resource), _ZERO), amount(text), amount(used.get(resource, "0"))
            if more > 0 and taken + more > hard:
                found.append(Excess(quota["metadata"]["name"], resource, hard, taken, more))
    return tuple(found)


def _full(resource: str) -> str:
    if resource in ("cpu", "memory", "ephemeral-storage"):
        return f"requests.{resource}"
    return f"count/{resource}" if resource in _OLD_NAMES else resource


def _object(manifest: Manifest, fallback: int) -> dict[str, Decimal]:
    found = {f"count/{resource_of(manifest).title}": Decimal(1)}
    spec = manifest.get("spec") or {}
    template = pod_template(manifest)
    if template is not None and manifest["kind"] != "CronJob":
        count = Decimal(_replicas(manifest, fallback))
        _add(found, {**per_pod(template), "count/pods": Decimal(1)}, count)
        for claim in spec.get("volumeClaimTemplates") or ():
            _add(found, {**_claim(claim), "count/persistentvolumeclaims": Decimal(1)}, count)
    elif manifest["kind"] == "PersistentVolumeClaim":
        _add(found, _claim(manifest), Decimal(1))
    elif manifest["kind"] == "Service":
        ports = Decimal(len(spec.get("ports") or ()))
        if spec.get("type") == "LoadBalancer":
            _add(found, {"services.loadbalancers": Decimal(1), "services.nodeports": ports}, Decimal(1))
        elif spec.get("type") == "NodePort":
            _add(found, {"services.nodeports": ports}, Decimal(1))
    return found


def _surge(manifest: Manifest, before: Manifest | None, fallback: int) -> dict[str, Decimal]:
    """Pods that run beside the old ones while a Deployment exchanges them."""
    spec = manifest.get("spec") or {}
    template = pod_template(manifest)
    strategy = spec.get("strategy") or {}
    if before is None or template is None or manifest["kind"] != "Deployment" or strategy.get("type") == "Recreate":
        return {}
    more = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    replicas = _replicas(manifest, fallback)
    pods = ceil(replicas * int(more[:-1]) / 100) if isinstance(more, str) and more.endswith("%") else int(more)
    found: dict[str, Decimal] = {}
    _add(found, {**per_pod(template), "count/pods": Decimal(1)}, Decimal(pods))
    return found


def _replicas(manifest: Manifest, fallback: int) -> int:
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "Job":
        parallel = int(spec.get("parallelism", 1))
        return min(parallel, int(spec.get("completions") or parallel))
    count = spec.get("replicas")
    return fallback if count is None else int(count)


def _claim(claim: Mapping[str, Any]) -> dict[str, Decimal]:
    spec = claim.get("spec") or {}
    size = amount(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))
    found = {"requests.storage": size}
    if name := spec.get("storageClassName"):
        found[f"{name}.storageclass.storage.k8s.io/requests.storage"] = size
    return found


def _container(container: Mapping[str, Any]) -> dict[str, Decimal]:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    found = {f"requests.{name}": amount(text) for name, text in {**limits, **requests}.items()}
    return found | {f"limits.{name}": amount(text) for name, text in limits.items()}


def _sum(containers: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for one in containers:
        _add(total, _container(one), Decimal(1))
    return total


def _add(total: dict[str, Decimal], more: Mapping[str, Decimal], times: Decimal) -> None:
    for name, value in more.items():
        total[name] = total.get(name, _ZERO) + value * times
