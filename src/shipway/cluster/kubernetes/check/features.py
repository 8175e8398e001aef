"""What a cluster can do, found by asking it: a look, which changes nothing.

Works with rights in one namespace alone: what only readers of the whole cluster may know is then unknown, and said so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import NAMESPACES, STORAGE_CLASSES
from shipway.cluster.kubernetes.check.nodes import GPU_PRODUCT, Node, nodes
from shipway.cluster.kubernetes.check.together import together
from shipway.cluster.kubernetes.names import Manifest
from shipway.errors import ClusterRefused, ClusterUnreachable, ShipwayError

OLDEST = (1, 31)
_RUNTIME = re.compile(r"(containerd|cri-o)://v?(\d+)\.(\d+)")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_ENFORCE = "pod-security.kubernetes.io/enforce"
_NO_IMAGE = "registry.k8s.io/pause@sha256:" + "0" * 64  # is never pulled


@dataclass(frozen=True, slots=True)
class Features:
    """What was found. ``nodes`` is 0 and ``nodes_known`` False where we may not ask. ``gpus``: by extended resource;
    ``gpu_products``: what NVIDIA's labels call them. ``pod_security``: what the namespace enforces, or "privileged".
    ``image_volumes_because``: why there are none."""

    version: str
    nodes: int = 0
    nodes_known: bool = False
    cpus: float = 0.0
    memory: int = 0  # bytes
    gpus: dict[str, int] = field(default_factory=dict)
    gpu_products: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()  # of the nodes: "linux/amd64"
    image_volumes: bool = False
    image_volumes_because: str = ""
    metrics_server: bool = False
    gateway_api: bool = False
    kueue: bool = False
    storage_class: str | None = None  # the default one; "" where there is none, None where we may not ask
    pod_security: str | None = None  # None where we may not ask

    @property
    def supported(self) -> bool:
        """Whether the version is one that Shipway works with."""
        match = _VERSION.match(self.version)
        return match is not None and (int(match[1]), int(match[2])) >= OLDEST


async def look(api: Api, namespace: str) -> Features:
    """Raises ClusterUnreachable, ClusterRefused (credentials), NotFound (the namespace)."""
    version = await api.version()  # alone and first: with wrong credentials one request fails, not six
    found, groups, metrics, volumes, storage, level = await together(
        [
            nodes(api),
            _groups(api),
            _answers(api, "/apis/metrics.k8s.io/v1beta1"),
            _keeps_image_volumes(api, namespace),
            _default_class(api),
            _pod_security(api, namespace),
        ]
    )
    because = volumes or _runtimes(found)
    there = found or ()
    return Features(
        version=version,
        nodes=len(there),
        nodes_known=found is not None,
        cpus=float(_sum(there, "cpu")),
        memory=int(_sum(there, "memory")),
        gpus=_gpus(there),
        gpu_products=tuple(sorted({one.labels[GPU_PRODUCT] for one in there if GPU_PRODUCT in one.labels})),
        platforms=tuple(sorted({one.platform for one in there if one.platform})),
        image_volumes=not because,
        image_volumes_because=because,
        metrics_server=metrics,
        gateway_api="gateway.networking.k8s.io/v1" in groups,
        kueue=any(one.startswith("kueue.x-k8s.io/") for one in groups),
        storage_class=storage,
        pod_security=level,
    )


def mounts_images(runtime: str) -> bool:
    """Whether a node's runtime (``containerd://2.1.4``) mounts image volumes: containerd from 2.1, CRI-O from 1.31."""
    match = _RUNTIME.match(runtime)
    if match is None:
        return False
    return (int(match[2]), int(match[3])) >= ((2, 1) if match[1] == "containerd" else (1, 31))


def _runtimes(found: Sequence[Node] | None) -> str:
    if found is None:
        return "the nodes' runtimes are not known: we may not list nodes"
    if not found:
        return "there are no nodes"
    old = sorted({one.runtime or "unknown" for one in found if not mounts_images(one.runtime)})
    return f"nodes run {', '.join(old)}, and containerd 2.1 or CRI-O 1.31 is needed" if old else ""


async def _keeps_image_volumes(api: Api, namespace: str) -> str:
    """Why the API server has none; empty when it keeps the field. (A server without the feature drops it.)"""
    try:
        made = await api.create(_probe(namespace), dry_run=True)
    except ClusterUnreachable:
        raise
    except ShipwayError as error:
        return f"a dry run of a Pod was refused: {error.message}"
    volumes = (made.get("spec") or {}).get("volumes") or ()
    kept = any((one.get("image") or {}).get("reference") == _NO_IMAGE for one in volumes)
    return "" if kept else "the API server drops the field"


def _probe(namespace: str) -> Manifest:
    """A Pod with an image volume that every Pod Security level and every quota would take."""
    resources = {"cpu": "1m", "memory": "1Mi"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shipway-image-volume-probe", "namespace": namespace},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": _NO_IMAGE,
                    "resources": {"requests": resources, "limits": resources},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "model", "mountPath": "/model", "readOnly": True}],
                }
            ],
            "volumes": [{"name": "model", "image": {"reference": _NO_IMAGE, "pullPolicy": "IfNotPresent"}}],
        },
    }


async def _groups(api: Api) -> frozenset[str]:
    """Groups with their versions: ``gateway.networking.k8s.io/v1``."""
    found = await api.raw("GET", "/apis")
    return frozenset(version["groupVersion"] for group in found.get("groups") or () for version in group["versions"])


async def _answers(api: Api, path: str) -> bool:
    """An aggregated API is announced even while nothing stands behind it."""
    try:
        await api.raw("GET", path)
    except ShipwayError:
        return False
    return True


async def _default_class(api: Api) -> str | None:
    def name(live: dict[str, Any]) -> str:
        default = (live["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
        return str(live["metadata"]["name"]) if default else ""

    try:
        listing = await api.list(STORAGE_CLASSES, into=name)
    except ClusterRefused:
        return None
    return next((one for one in listing.items if one), "")


async def _pod_security(api: Api, namespace: str) -> str | None:
    try:
        live = await api.get(NAMESPACES, namespace)
    except ClusterRefused:
        return None
    return str(((live or {"metadata": {}})["metadata"].get("labels") or {}).get(_ENFORCE, "privileged"))


def _sum(found: Sequence[Node], resource: str) -> Decimal:
    return sum((one.allocatable.get(resource, Decimal(0)) for one in found), Decimal(0))


def _gpus(found: Sequence[Node]) -> dict[str, int]:
    names = sorted({name for one in found for name in one.gpus})
    return {name: sum(one.gpus.get(name, 0) for one in found) for name in names}
