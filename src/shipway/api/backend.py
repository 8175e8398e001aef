"""What the composition root puts behind the API: ports, and a few callables for what is no port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Protocol, Self

from pydantic import Field, model_validator

from shipway.bundle import LogLine
from shipway.controllers.operations.data import DataAddRequest, DataPullRequest, DataWriteRequest
from shipway.controllers.operations.requests import (
    ExportRequest,
    ImportRequest,
    PullRequest,
    PushRequest,
    RemoteVerifyRequest,
)
from shipway.data import DataFile, DataVersion, Difference
from shipway.explain import History, Story
from shipway.journal.notifying import NotifyingJournal
from shipway.kinds import ClusterSpec, Object, Value
from shipway.kinds.catalog import ModelLine, VersionDiff
from shipway.kinds.meta import Name
from shipway.ports import Cluster
from shipway.store.notifying import NotifyingStore
from shipway.transfer import Report

Why = Annotated[str, Field(max_length=1000)]  # in somebody's words, for the ledger


class ObjectKey(Value):
    """One object by kind and name."""

    kind: str
    name: Name


class DownRequest(Value):
    """What ``shipway down`` deletes: everything that runs, or the named objects."""

    all: bool = False
    objects: tuple[ObjectKey, ...] = ()

    @model_validator(mode="after")
    def _all_or_some(self) -> Self:
        if self.all == bool(self.objects):
            raise ValueError('give either "all": true or "objects": [{"kind", "name"}]')
        return self


class TagRequest(Value):
    """The version, by number or alias, that the alias names from now on."""

    version: Annotated[str, Field(min_length=1, max_length=100)]
    why: Why = ""
    force: bool = False


class CheckRequest(Value):
    """A cluster to look at. It need not have been added."""

    name: Name
    spec: ClusterSpec


class ClaimRequest(Value):
    """``takeOver``: also when another hub owns the namespace."""

    take_over: bool = False


class UndoRequest(Value):
    """The revision to go back to; none: the one before."""

    to: Annotated[str, Field(max_length=60)] = ""


class CollectRequest(Value):
    """What nothing needs is counted, and deleted unless it is a dry run."""

    dry_run: bool


class Logs(Protocol):
    """The lines of an object's workloads."""

    def __call__(self, kind: str, name: str, *, follow: bool, tail: int | None) -> AsyncIterator[tuple[str, LogLine]]:
        """``(workload, line)``, oldest first. Raises errors of the tree when it is iterated."""
        ...


class ArtifactIntake(Protocol):
    """Where snapshots of sources and inputs go."""

    def has(self, digest: str) -> bool: ...

    def store(self, digest: str, file: BinaryIO) -> str:
        """Keep the tar; its digest. Raises UserError when it is not ``digest``. Blocking: runs in a thread."""
        ...


class Asked(Protocol):
    """Keeps in the journal that somebody asked for something."""

    def __call__(
        self, subject: str, reason: str, message: str, by: str, data: Mapping[str, Any] | None = None
    ) -> None: ...


class Stories(Protocol):
    """What the journal tells. Blocking: runs in a thread."""

    def why(self, kind: str, name: str, since: datetime | None = None) -> Story:
        """Raises NotFound when neither the store nor the journal knows it."""
        ...

    def history(self, model: str, at: datetime | None = None) -> History:
        """What its versions were, or were at that time. Raises NotFound."""
        ...


class SecretStore(Protocol):
    """Secret values go in and never come out through the API."""

    def names(self) -> dict[str, list[str]]:
        """Name of each secret, with its keys."""
        ...

    def set(self, name: str, key: str, value: bytes) -> None: ...

    def delete(self, name: str, key: str | None) -> None:
        """Delete one key, or the whole secret. Raises NotFound."""
        ...


class Catalog(Protocol):
    """What there is of models. Blocking: runs in a thread."""

    def models(self) -> Sequence[ModelLine]: ...

    def page(self, name: str, limit: int, before: int | None = None) -> Mapping[str, Any]:
        """The newest versions of a model. Raises NotFound."""
        ...

    def detail(self, name: str, ref: str) -> Mapping[str, Any]:
        """All that is known of a version. Raises NotFound."""
        ...

    def diff(self, before: tuple[str, str], after: tuple[str, str], *, patches: bool = False) -> VersionDiff:
        """From one version to another. Raises NotFound."""
        ...


class Curator(Protocol):
    """What a person does to versions by hand. Each raises NotFound, Refused, Conflict."""

    async def tag(self, name: str, ref: str, alias: str, *, by: str, why: str, force: bool) -> Mapping[str, Any]: ...

    async def untag(self, name: str, alias: str, *, by: str, why: str, force: bool) -> Mapping[str, Any]: ...

    async def remove(self, name: str, ref: str, *, by: str, why: str, force: bool) -> Mapping[str, Any]: ...

    def remove_model(self, name: str, *, by: str) -> Mapping[str, Any]: ...


class Transfers(Protocol):
    """Versions come, go, and are looked at. Each may be cancelled at any line, and asked for again."""

    async def pull(self, name: str, asked: PullRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def add_files(self, name: str, asked: ImportRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def push(self, name: str, ref: str, asked: PushRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def export(self, name: str, ref: str, asked: ExportRequest, report: Report) -> Mapping[str, Any]: ...

    async def verify(self, name: str, ref: str, report: Report) -> Mapping[str, Any]: ...

    async def verify_remote(self, asked: RemoteVerifyRequest, report: Report) -> Mapping[str, Any]: ...


class Signatures(Protocol):
    """The sigstore bundles beside a version."""

    async def listed(self, name: str, ref: str) -> Mapping[str, Any]:
        """The version's digest, and the bundles. Raises NotFound, Corrupt."""
        ...

    async def attach(self, name: str, ref: str, data: bytes, by: str) -> Mapping[str, Any]:
        """Keep one more. Raises NotFound, and UserError when it does not sign that version."""
        ...


class Collecting(Protocol):
    """Deletes what nothing needs."""

    async def collect(self, *, dry_run: bool, by: str, report: Report) -> Mapping[str, Any]:
        """What would go, or what went."""
        ...


class Data(Protocol):
    """Data sets. The asynchronous ones may be cancelled at any line; the others block, and run in a thread."""

    async def add(self, name: str, asked: DataAddRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def pull(self, name: str, asked: DataPullRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def push(self, reference: str, asked: PushRequest, by: str, report: Report) -> Mapping[str, Any]: ...

    async def write(self, reference: str, asked: DataWriteRequest, report: Report) -> Mapping[str, Any]: ...

    async def remove(self, reference: str, by: str) -> tuple[str, ...]: ...

    def latest(self) -> tuple[DataVersion, ...]: ...

    def versions(self, name: str) -> tuple[DataVersion, ...]: ...

    def resolve(self, reference: str) -> DataVersion: ...

    def files(self, reference: str) -> tuple[DataFile, ...]: ...

    def difference(self, before: str, after: str) -> Difference: ...


class CheckCluster(Protocol):
    """Looks at a cluster, whether it was added or not."""

    async def __call__(self, spec: ClusterSpec, name: str) -> Sequence[Mapping[str, Any]]:
        """Findings, ``{name, state: ok | degraded | missing, message, nextStep}``. What is wrong with the connection
        is raised: UserError, NotFound, ClusterUnreachable, ClusterRefused."""
        ...


class ClaimCluster(Protocol):
    """Makes this hub the one that may write into the namespace of a cluster that was added."""

    async def __call__(self, name: str, *, take_over: bool, by: str) -> Mapping[str, Any]:
        """``{owner, before}``: hubs' ids, the second "" unless it was taken over. Raises Conflict with the name of the
        other owner, NotFound, and what the cluster's API raises."""
        ...


class DiffClusters(Protocol):
    """Says what applying objects would change in clusters, and changes nothing."""

    async def __call__(self, objects: Sequence[Object]) -> Sequence[Mapping[str, Any]]:
        """``{object, field, from, to}`` each; ``object`` is of Kubernetes ("prod: Deployment/digits"). Objects of this
        machine are passed over."""
        ...


class Forward(Protocol):
    """A way from this machine to a service in a cluster."""

    async def __call__(self, service: str) -> int:
        """A port of 127.0.0.1, open while the hub runs; the same one while the service lives. Raises NotFound, Refused
        for a service of this machine, WorkloadFailed while no replica is ready, and what the cluster's API raises."""
        ...


class Undo(Protocol):
    """Goes back to an earlier revision of a service."""

    async def __call__(self, service: str, *, to: str, by: str) -> Mapping[str, Any]:
        """``{service, from, to, changed, message}``; ``to``: the revision, "" is the one before. Raises NotFound,
        Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything that the handlers use. ``hub`` is version, pid and home as ``/healthz`` shows them."""

    store: NotifyingStore
    journal: NotifyingJournal
    logs: Logs
    cluster: Cluster
    gateway_status: Callable[[], Mapping[str, Any]]
    artifacts: ArtifactIntake
    catalog: Catalog
    curator: Curator
    secrets: SecretStore
    down: Callable[[DownRequest], Awaitable[list[str]]]
    asked: Asked
    stories: Stories
    transfers: Transfers
    data: Data
    signatures: Signatures
    collecting: Collecting
    check_cluster: CheckCluster
    claim_cluster: ClaimCluster
    diff: DiffClusters
    forward: Forward
    undo: Undo
    shutdown: Callable[[], None]
    hub: Mapping[str, Any]
    uploads: Path | None = None  # folder for uploads under way, on the disk where they end; None: the system's
