"""A KubernetesCluster on a FakeKubernetes, and what it needs around it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from shipway.bundle import Bundle, Observed, Owner, Terms, Workload
from shipway.clock import SystemClock
from shipway.cluster.kubernetes.cluster import KubernetesCluster
from shipway.errors import NotFound, RegistryUnreachable
from shipway.kinds import ClusterSpec
from shipway.ports import RemoteCluster
from shipway.testing.kubernetes.kubelet import Kubelet
from shipway.testing.kubernetes.server import FakeKubernetes

NAMESPACE, OWNER = "ml", "0123456789ab"
IMAGE = "registry.example/app@sha256:" + "1" * 64


def some_terms(workload: Workload, **more: Any) -> Terms:
    """What is needed beside a workload."""
    kind: Literal["ModelService", "ModelJob"] = "ModelService" if workload.mode == "server" else "ModelJob"
    return Terms(owner=Owner(kind, workload.name.split("-")[0], "uid-1"), image=IMAGE, **more)


@dataclass
class FakeSupplies:
    """A registry that has whatever is asked of it; ``away`` lets as many fetches fail."""

    folder: Path
    sent: list[tuple[str, str]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    away: int = 0

    async def send(self, digest: str, repository: str) -> str:
        self.sent.append((digest, repository))
        return f"{repository}@{digest}"

    async def answer(self, repository: str) -> str:
        return f"{repository} answers from here"

    async def fetch(self, reference: str) -> Path:
        if self.away:
            self.away -= 1
            raise RegistryUnreachable("registry.example does not answer")
        self.fetched.append(reference)
        return self.folder


class Termed(KubernetesCluster):
    """Applies with terms of its own, as the suite knows none, and tells the hash that the suite knows."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._hashes: dict[str, str] = {}

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        own = terms or some_terms(workload)
        self._hashes[Bundle(workload, own).hash()] = workload.hash()
        await super().apply(workload, own)

    async def observe(self, name: str) -> Observed | None:
        return self._known(await super().observe(name))

    async def list(self) -> tuple[Observed, ...]:
        return tuple(one for found in await super().list() if (one := self._known(found)) is not None)

    def _known(self, found: Observed | None) -> Observed | None:
        return replace(found, hash=self._hashes.get(found.hash, found.hash)) if found is not None else None


def secrets(name: str) -> Mapping[str, str]:
    if name != "db":
        raise NotFound(f"no secret {name!r}")
    return {"PASSWORD": "s3cret"}


@dataclass
class Place:
    server: FakeKubernetes
    kubelet: Kubelet
    cluster: KubernetesCluster
    supplies: FakeSupplies
    spec: ClusterSpec

    def another(self, owner: str = OWNER) -> KubernetesCluster:
        """As another hub, or this one after it was started again."""
        return KubernetesCluster(self.spec, "prod", owner, {}, self.supplies, secrets, SystemClock())


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeKubernetes() as server, Kubelet(server) as kubelet:
            server.namespace(NAMESPACE, enforce="restricted")
            spec = ClusterSpec(
                type="kubernetes",
                kubeconfig=str(server.kubeconfig(Path(folder))),
                namespace=NAMESPACE,
                registry="registry.example/team",
                courier="registry.example/courier@sha256:" + "2" * 64,
            )
            supplies = FakeSupplies(Path(folder))
            cluster = Termed(spec, "prod", OWNER, {}, supplies, secrets, SystemClock())
            try:
                yield Place(server, kubelet, cluster, supplies, spec)
            finally:
                await cluster.close()


def as_port(cluster: KubernetesCluster) -> RemoteCluster:
    """For the type checker: app.py imports the cluster by name."""
    return cluster
