"""What the composition root puts behind the API: ports, and a few callables for what is no port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from pydantic import model_validator

from shipway.bundle import LogLine
from shipway.explain import Story, Tenure
from shipway.journal.notifying import NotifyingJournal
from shipway.kinds import Value
from shipway.kinds.meta import Name
from shipway.ports import Cluster
from shipway.store.notifying import NotifyingStore


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

    def history(self, model: str) -> tuple[Tenure, ...]:
        """Where its versions were live. Raises NotFound."""
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


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything that the handlers use. ``hub`` is version, pid and home as ``/healthz`` shows them."""

    store: NotifyingStore
    journal: NotifyingJournal
    logs: Logs
    cluster: Cluster
    gateway_status: Callable[[], Mapping[str, Any]]
    artifacts: ArtifactIntake
    model_detail: Callable[[str, str], Mapping[str, Any]]  # blocking: runs in a thread
    secrets: SecretStore
    down: Callable[[DownRequest], Awaitable[list[str]]]
    asked: Asked
    stories: Stories
    shutdown: Callable[[], None]
    hub: Mapping[str, Any]
    uploads: Path | None = None  # folder for uploads under way, on the disk where they end; None: the system's
