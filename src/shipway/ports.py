"""The seams: what the join asks of a medium. Protocols of at most 12 methods.

Store and Journal are synchronous: SQLite answers in microseconds, and the CLI needs no event loop.
Cluster and Gateway are asynchronous: they wait for processes. Every implementation, the fakes
included, passes the contract suite of its port in ``shipway.testing``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from shipway.bundle import ClusterInfo, LogLine, Observed, Terms, Workload
from shipway.kinds import Object
from shipway.traffic import GatewayState, RoutingTable


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the store. ``object`` is as it is after the change (before it, when DELETED)."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object
    version: int  # of the store after this change: watch from here for the next
    text: str  # the object as JSON: written once, for however many watchers


class Store(Protocol):
    """Declared objects with optimistic concurrency and watch; a store of kinds, with no method per noun."""

    def get(self, kind: str, name: str) -> Object:
        """The object. Raises NotFound."""
        ...

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        """All objects (of a kind), sorted by kind and name, and the store's version to watch from."""
        ...

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        """As ``list``, each object as JSON text in one line, as it is kept: nothing is parsed."""
        ...

    def put(self, obj: Object) -> Object:
        """Create (``resource_version`` 0) or replace (it must equal the stored one); the stored object.

        Creation sets uid, creation_timestamp, generation 1. A changed spec raises the generation by one.
        An identical object is not written and keeps its version. An object that is being deleted and has
        lost its last finalizer is removed. Raises Conflict when it changed meanwhile or exists already,
        NotFound when it is gone.
        """
        ...

    def delete(self, kind: str, name: str) -> Object:
        """Remove it, or set deletion_timestamp while finalizers are left. Idempotent. Raises NotFound."""
        ...

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        """Changes after version ``since`` in order; ends when none came for ``wait`` seconds.

        Raises NotFound when ``since`` is older than what is kept: list again.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. ``data`` holds the numbers of a decision, JSON-ready."""

    type: Literal["decision", "event", "ledger"]
    subject: str  # "ModelJob/digits"
    reason: str
    message: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0  # set by the journal, growing


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value that training code logged."""

    subject: str
    run: str
    name: str
    value: float
    at: datetime
    step: int | None = None
    id: int = 0


class Journal(Protocol):
    """Append-only: decisions, events, the ledger, metric points."""

    def append(self, entry: Entry) -> Entry:
        """Write it durably; the entry with its id."""
        ...

    def entries(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        subject: str | None = None,
        type: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> list[Entry]:
        """Entries with ``after`` < id < ``before``, not older than ``since``, oldest first.

        Of more than ``limit`` the first ones, or with ``newest`` the last ones: still oldest first.
        """
        ...

    def record(self, points: Sequence[MetricPoint]) -> None:
        """Write metric points."""
        ...

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        """Metric points with id > ``after``, oldest first."""
        ...

    def prune(self, *, before: datetime, keep: int) -> int:
        """Forget decisions and events, and points, that are older than ``before`` or not among the newest ``keep``
        (of each of the two); how many. The ledger stays for ever, and an id never comes again."""
        ...

    def close(self) -> None: ...


class Cluster(Protocol):
    """A place that runs workloads, whoever asks and whether or not the asker lives."""

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        """Make it so. Idempotent; equal ``hash`` with other ``replicas`` scales without a restart.

        A different hash under the same name is refused with Conflict: names are used once. Except for servers where
        the place exchanges replicas by itself (``terms`` are needed there): it goes from what runs to the new one,
        and keeps what runs while the new one is not ready. Returns at once; ``observe`` tells the progress.
        """
        ...

    async def delete(self, name: str) -> None:
        """Begin to stop it (SIGTERM, grace, SIGKILL) and to remove its files. Idempotent, returns at once."""
        ...

    async def observe(self, name: str) -> Observed | None:
        """As it is now, or None when there is no such workload."""
        ...

    async def list(self) -> tuple[Observed, ...]:
        """All workloads, sorted by name."""
        ...

    def watch(self) -> AsyncIterator[str]:
        """Names of workloads whose observation changed, from now on; endless. Every name once at the start."""
        ...

    def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[LogLine]:
        """Lines of all replicas, oldest first. With ``follow`` until the workload is gone or done."""
        ...

    async def info(self) -> ClusterInfo:
        """What the place can do."""
        ...

    async def close(self) -> None:
        """Let go. The workloads go on."""
        ...


class RemoteCluster(Cluster, Protocol):
    """A cluster beyond this machine, in which this hub is one of several that might write."""

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """What it can do and what we may do in it: ``{name, state: ok | degraded | missing, message, nextStep}`` each.
        What is wrong with the connection is raised: UserError, NotFound, ClusterUnreachable, ClusterRefused."""
        ...

    async def claim(self, *, take_over: bool = False) -> Mapping[str, Any]:
        """Make this hub the one that may write there; ``{owner, before}``. Idempotent. Raises Conflict with the name of
        another owner unless it is taken over."""
        ...

    async def diff(self, workload: Workload, terms: Terms) -> Sequence[Mapping[str, Any]]:
        """What ``apply`` would change of objects there: ``{object, field, from, to}`` each. Changes nothing."""
        ...

    async def forward(self, workload: str) -> int:
        """A port of 127.0.0.1 that leads to a ready replica, until the cluster is let go; the same one each time.
        Raises WorkloadFailed while none is ready."""
        ...


class Gateway(Protocol):
    """What carries requests to replicas."""

    def url(self, service: str) -> str:
        """Where a service answers."""
        ...

    async def apply(self, table: RoutingTable) -> GatewayState:
        """Make the table live without losing a request (clusters and endpoints first, then routes, then
        removal), wait until the gateway shows it, and say how it went. Idempotent."""
        ...

    async def state(self) -> GatewayState:
        """How it is now."""
        ...

    async def active(self, upstream: str) -> int | None:
        """Requests under way to that upstream; 0 when it has none or is unknown, None when the gateway is silent."""
        ...


class Artifacts(Protocol):
    """Content that a workload needs on its disk."""

    def materialise(self, digest: str) -> Path:
        """A read-only folder with the artifact's files, verified; made once, then shared. Raises NotFound, Corrupt."""
        ...


class Supplies(Protocol):
    """What travels between this home and the registry that a cluster's nodes can reach."""

    async def send(self, digest: str, repository: str) -> str:
        """Have an artifact of the layout (a model version, a snapshot, a data set) in ``repository``
        (``ghcr.io/team/digits``); its reference there by digest, which an image volume can mount. Asks nothing of the
        network when it was sent before. Raises NotFound, and what a registry raises."""
        ...

    async def answer(self, repository: str) -> str:
        """Ask the registry of a repository whether it answers us; in one sentence. Raises RegistryUnreachable,
        RegistryRefused."""
        ...

    async def fetch(self, reference: str) -> Path:
        """The files of a job's output that was pushed there, verified; a read-only folder. Made once, then shared."""
        ...


class Clock(Protocol):
    """Time, so that tests can have their own."""

    def now(self) -> datetime:
        """Now, in UTC, with a timezone. May leap in both directions: see :meth:`steady_since`."""
        ...

    def steady_since(self) -> datetime:
        """Since when ``now`` has run as a stopwatch does: this process's start, or the last leap (the clock was set,
        the machine slept). A wait is measured from there at the earliest."""
        ...

    async def sleep(self, seconds: float) -> None: ...
