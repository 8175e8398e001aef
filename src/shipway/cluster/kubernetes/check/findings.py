"""Every right and feature tried, each told as ok, degraded (something works less well) or missing (nothing works).

Whether the registry answers from here is another room's to ask: it comes as ``registry``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import NAMESPACES, SECRETS
from shipway.cluster.kubernetes.apply.lease import LEASE, Ownership
from shipway.cluster.kubernetes.check import rbac, rights
from shipway.cluster.kubernetes.check.features import OLDEST, Features, look
from shipway.cluster.kubernetes.check.together import together
from shipway.errors import ClusterRefused, ClusterUnreachable, ShipwayError
from shipway.kinds import ClusterSpec

State = Literal["ok", "degraded", "missing"]
Registry = Callable[[], Awaitable[str]]  # what it says of itself; raises a ShipwayError with the next step

_DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
_ROLE = "shipway cluster add --print-rbac prints the Role that is needed; who runs the cluster can apply it."
# Without these all goes on but what needs them; every other kind is watched from the start.
_OPTIONAL = frozenset({"gateways", "httproutes", "resourcequotas", "namespaces"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    name: str
    state: State
    message: str
    next_step: str = ""


async def check(
    api: Api, spec: ClusterSpec, *, owner: Ownership | None = None, registry: Registry | None = None
) -> tuple[Finding, ...]:
    """All findings, in the order in which they matter. Never raises for what the cluster says: that is a finding."""
    try:
        version = await api.version()
    except (ClusterUnreachable, ClusterRefused) as error:
        return (Finding("connection", "missing", error.message, error.next_step),)
    connection = Finding("connection", "ok", f"{api.access.server} answers ({version})")
    namespace = await _namespace(api, spec.namespace)
    if namespace.state == "missing":
        return connection, namespace
    features = await look(api, spec.namespace)
    return (
        connection,
        _version(features),
        namespace,
        *await _rights(api, spec.namespace),
        *(await _owner(owner) if owner else ()),
        *(await _registry(registry) if registry else ()),
        *await _secrets(api, spec),
        _courier(spec),
        *_features(features, spec),
    )


async def _namespace(api: Api, name: str) -> Finding:
    step = f"kubectl{api.access.server.flags} create namespace {name}, or choose another one."
    try:
        live = await api.get(NAMESPACES, name)
    except ClusterRefused:
        return Finding("namespace", "degraded", f'we may not read namespace "{name}" (nor see its Pod Security)', _ROLE)
    if live is None:
        return Finding("namespace", "missing", f'there is no namespace "{name}"', step)
    if live["metadata"].get("deletionTimestamp"):
        return Finding("namespace", "missing", f'namespace "{name}" is being deleted', step)
    return Finding("namespace", "ok", f'"{name}" is there')


def _version(features: Features) -> Finding:
    oldest = ".".join(map(str, OLDEST))
    if features.supported:
        return Finding("version", "ok", f"{features.version} (Shipway works with {oldest} and later)")
    return Finding(
        "version", "degraded", f"{features.version} is older than {oldest}, and untested", "Upgrade the cluster."
    )


async def _rights(api: Api, namespace: str) -> tuple[Finding, ...]:
    wanted = rbac.rights(namespace)
    lacking = await rights.missing(api, namespace, wanted)
    needed = [one for one in lacking if one.plural not in _OPTIONAL]
    optional = [one for one in lacking if one.plural in _OPTIONAL]
    found = []
    if needed:
        found.append(Finding("rights", "missing", f'we may not, in "{namespace}": {rights.sentence(needed)}', _ROLE))
    if optional:
        told = f'we may not, in "{namespace}": {rights.sentence(optional)}; services that need it will fail'
        found.append(Finding("rights", "degraded", told, _ROLE))
    return tuple(found) or (Finding("rights", "ok", f"all {len(wanted)} that are needed"),)


async def _owner(owner: Ownership) -> tuple[Finding, ...]:
    try:
        holder = await owner.owner()
        if holder is None or holder.hub in ("", owner.holder):
            told = "this hub" if holder and holder.hub else f"nobody yet (Lease {LEASE})"
            return (Finding("owner", "ok", told),)
    except ShipwayError as error:
        return (Finding("owner", "missing", error.message, error.next_step),)
    told = f"hub {holder} owns the namespace since {holder.since}"
    return (Finding("owner", "degraded", told, "Use another namespace, or take over: shipway cluster add --take-over"),)


async def _registry(registry: Registry) -> tuple[Finding, ...]:
    try:
        return (Finding("registry", "ok", await registry()),)
    except ShipwayError as error:
        return (Finding("registry", "degraded", error.message, error.next_step),)


async def _secrets(api: Api, spec: ClusterSpec) -> tuple[Finding, ...]:
    wanted = {"pull secret": spec.pull_secret, "push secret": spec.push_secret}
    found = await together(_secret(api, spec, what, name) for what, name in wanted.items() if name)
    if found:
        return tuple(found)
    return (Finding("pull secret", "ok", "none is named: nodes must reach the registry without one"),)


async def _secret(api: Api, spec: ClusterSpec, what: str, name: str) -> Finding:
    host = spec.registry.partition("/")[0]
    step = (
        f"kubectl{api.access.server.flags} create secret docker-registry {name} -n {spec.namespace} "
        f"--docker-server={host} --docker-username=... --docker-password=..."
    )
    try:
        live = await api.get(SECRETS, name, spec.namespace)
    except ClusterRefused as error:
        return Finding(what, "degraded", error.message, error.next_step)
    if live is None:
        return Finding(what, "missing", f'there is no Secret "{name}" in namespace "{spec.namespace}"', step)
    if live.get("type") != _DOCKER_CONFIG:
        return Finding(what, "missing", f'Secret "{name}" is of type {live.get("type")}, not {_DOCKER_CONFIG}', step)
    return Finding(what, "ok", f'Secret "{name}" is there')


def _courier(spec: ClusterSpec) -> Finding:
    if spec.courier:
        return Finding("courier", "ok", spec.courier)
    return Finding(
        "courier",
        "degraded",
        "no courier image: jobs cannot send their results, and models come by image volume only",
        "shipway cluster add builds and pushes one",
    )


def _features(features: Features, spec: ClusterSpec) -> tuple[Finding, ...]:
    return (
        _nodes(features),
        _image_volumes(features, spec),
        _feature(
            "metrics-server",
            features.metrics_server,
            "metrics.k8s.io answers",
            "metrics.k8s.io does not answer: autoscaling by CPU and memory will not move",
            "Install metrics-server, or declare no scaling.",
        ),
        _feature(
            "gateway-api",
            features.gateway_api,
            "gateway.networking.k8s.io/v1 is served",
            "not installed: services cannot ask for via: gateway",
            "Install the Gateway API, or use via: ingress.",
        ),
        Finding("kueue", "ok", "installed" if features.kueue else "not installed (not needed)"),
        _storage(features),
        _pod_security(features),
    )


def _feature(name: str, there: bool, good: str, bad: str, step: str) -> Finding:
    return Finding(name, "ok", good) if there else Finding(name, "degraded", bad, step)


def _nodes(features: Features) -> Finding:
    if not features.nodes_known:
        told = "we may not list nodes: GPUs and runtimes are not known before Pods ask for them"
        return Finding("nodes", "degraded", told, "The ClusterRole that shipway cluster add --print-rbac prints, too.")
    if not features.nodes:
        return Finding("nodes", "degraded", "there is no node that takes Pods", "Add one, or see kubectl get nodes.")
    gpus = ", ".join(f"{count} {name}" for name, count in features.gpus.items()) or "no GPUs"
    products = f" ({', '.join(features.gpu_products)})" if features.gpu_products else ""
    memory = f"{features.memory / 2**30:.0f} GiB"
    return Finding("nodes", "ok", f"{features.nodes}, with {features.cpus:g} CPUs, {memory}, {gpus}{products}")


def _image_volumes(features: Features, spec: ClusterSpec) -> Finding:
    if features.image_volumes:
        used = "" if spec.image_volumes != "off" else " (and switched off)"
        return Finding("image-volumes", "ok", f"models are mounted as they lie in the registry{used}")
    if spec.image_volumes == "on":
        return Finding(
            "image-volumes",
            "degraded",
            f"switched on, and not found: {features.image_volumes_because}",
            "Pods may not start; imageVolumes: auto lets the courier bring models.",
        )
    return Finding(
        "image-volumes",
        "ok" if spec.courier else "degraded",
        f"models are pulled when a Pod starts: {features.image_volumes_because}",
        "" if spec.courier else "A courier image is needed then: shipway cluster add.",
    )


def _storage(features: Features) -> Finding:
    if features.storage_class is None:
        return Finding("storage", "ok", "classes are not known: we may not list them")
    if features.storage_class:
        return Finding("storage", "ok", f"volumes are of class {features.storage_class}")
    step = "Name storageClass where a volume is declared, or have a default one set."
    return Finding("storage", "degraded", "there is no default class for volumes", step)


def _pod_security(features: Features) -> Finding:
    if features.pod_security is None:
        return Finding("pod-security", "ok", "not known; what Shipway renders passes restricted")
    return Finding("pod-security", "ok", f"{features.pod_security}: what Shipway renders passes restricted")
