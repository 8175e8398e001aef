"""Cluster: where workloads can run. ``local`` (this machine) always exists; others are kubeconfig contexts."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from shipway.kinds.meta import Object, Status, Value

LOCAL = "local"
FORCE_CONFLICTS = "shipway.dev/force-conflicts"  # annotation: fields that others set in a cluster are taken from them


class ClusterSpec(Value):
    """Which kind of place it is, and how to reach it. ``registry``: where images, models and results of jobs go:
    ``ghcr.io/team``; it must be reachable from here and from the cluster's nodes."""

    type: Literal["local", "kubernetes"] = "local"
    context: str = ""  # of the kubeconfig; empty: its current one
    kubeconfig: str = ""  # an absolute path; empty: $KUBECONFIG, or ~/.kube/config, or the Pod's own service account
    namespace: str = ""
    registry: str = ""
    plain_http: bool = False  # the registry speaks HTTP without TLS
    pull_secret: str = ""  # imagePullSecrets: a Secret of type kubernetes.io/dockerconfigjson in the namespace
    push_secret: str = ""  # the same, with which results of jobs are pushed; empty: as pull_secret
    courier: str = ""  # the image that brings models and takes results away; `cluster add` builds and pushes it
    base: str = ""  # what images that are built for it stand on; empty: as `build` has it
    image_volumes: Literal["auto", "on", "off"] = "auto"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "kubernetes" and not (self.namespace and self.registry):
            raise ValueError("a cluster of type kubernetes needs namespace and registry")
        return self


class ClusterStatus(Status):
    """What the place can do."""

    cpus: float = 0.0
    memory: int = 0  # bytes
    limits: tuple[str, ...] = ()  # what is enforced here: "cpu", "memory"
    notes: tuple[str, ...] = ()  # what is not, and why
    version: str = ""  # "v1.36.2"
    nodes: int = 0
    platforms: tuple[str, ...] = ()  # of its nodes: "linux/amd64"; images are built for them
    gpus: dict[str, int] = {}  # allocatable, by extended resource: "nvidia.com/gpu"
    features: tuple[str, ...] = ()  # what was found: "image-volumes", "metrics-server", "gateway-api"
    owner: str = ""  # the hub that may write there


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

    def mark_unreachable(self, reason: str, message: str, now: datetime) -> Self:
        """It does not answer, or not to us: what is shown of its workloads is as last seen."""
        return self.with_condition("Ready", "False", reason, message, now)
