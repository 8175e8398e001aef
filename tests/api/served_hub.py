"""A hub's API, served for real on a Unix socket and on loopback, over fakes."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from shipway.api.app import build
from shipway.api.backend import Backend, DownRequest
from shipway.api.serve import serve
from shipway.bundle import ClusterInfo, LogLine, Observed, Replica, Terms, Workload
from shipway.client import HubClient
from shipway.controllers import Catalog, Curator, Recorder, Stories
from shipway.controllers.operations.collecting import Collecting
from shipway.controllers.operations.data import DataTransfers
from shipway.data import Access, DataSets, ObjectStores
from shipway.errors import HubUnreachable, NotFound, UserError, WorkloadFailed
from shipway.image.remembered import Remembered
from shipway.journal.notifying import NotifyingJournal
from shipway.models import Snapshots, Versions
from shipway.models.cached import Cached
from shipway.oci import Layout
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import DockerCredentials
from shipway.store.notifying import NotifyingStore
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.testing.store import FakeStore
from tests.api.fake_clusters import FakeClusters
from tests.api.fake_signatures import FakeSignatures
from tests.api.fake_transfers import FakeTransfers

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "s3cret"
GATEWAY = {"url": "http://127.0.0.1:8080", "live": True, "reason": "Programmed", "message": "", "restarts": 0}


def _data(layout: Layout, recorder: Recorder) -> DataTransfers:
    sets = DataSets(layout, FakeClock(), ObjectStores(Access({}, lambda name: {})))
    registry = lambda plain_http: Registry(DockerCredentials(None), plain_http=plain_http)  # noqa: E731
    return DataTransfers(sets, layout, registry, recorder)


class FakeArtifacts:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.fault: Exception | None = None

    def has(self, digest: str) -> bool:
        if self.fault is not None:
            raise self.fault
        return digest in self.stored

    def store(self, digest: str, file: BinaryIO) -> str:
        content = file.read()
        if content == b"tampered":
            raise UserError(f"the content does not match {digest}")
        self.stored[digest] = content
        return digest


class FakeSecrets:
    def __init__(self) -> None:
        self.values: dict[str, dict[str, bytes]] = {}

    def names(self) -> dict[str, list[str]]:
        return {name: sorted(keys) for name, keys in self.values.items()}

    def set(self, name: str, key: str, value: bytes) -> None:
        self.values.setdefault(name, {})[key] = value

    def delete(self, name: str, key: str | None) -> None:
        if name not in self.values or (key is not None and key not in self.values[name]):
            raise NotFound(f"there is no secret {name}")
        if key is None:
            del self.values[name]
        else:
            del self.values[name][key]


class OneWorkload:
    """A cluster in which one server runs."""

    async def list(self) -> tuple[Observed, ...]:
        replica = Replica(0, "Ready", "127.0.0.1:41234", pid=7, exit_code=None)
        return (Observed("d-00001", "sha256:0", "Running", (replica,), started_at=NOW),)

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        raise NotImplementedError

    async def observe(self, name: str) -> Observed | None:
        raise NotImplementedError

    async def info(self) -> ClusterInfo:
        raise NotImplementedError

    def watch(self) -> AsyncIterator[str]:
        raise NotImplementedError

    def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[LogLine]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@dataclass
class Hub:
    """The served API, and what a test wants to know of the fakes behind it."""

    socket: Path
    port: int
    store: NotifyingStore = field(default_factory=lambda: NotifyingStore(FakeStore(lambda: NOW)))
    journal: NotifyingJournal = field(default_factory=lambda: NotifyingJournal(FakeJournal()))
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)
    secrets: FakeSecrets = field(default_factory=FakeSecrets)
    transfers: FakeTransfers = field(default_factory=FakeTransfers)
    signatures: FakeSignatures = field(default_factory=FakeSignatures)
    clusters: FakeClusters = field(default_factory=FakeClusters)
    downs: list[DownRequest] = field(default_factory=list)
    shutdowns: int = 0
    logs_closed: threading.Event = field(default_factory=threading.Event)
    layout: Any = None
    app: Any = None
    loop: Any = None
    stop: Any = None
    thread: Any = None

    @property
    def client(self) -> HubClient:
        return HubClient(self.socket, timeout=10)

    @property
    def versions(self) -> Versions:
        """The versions behind the API."""
        return Versions(self.layout, FakeClock())

    def _collecting(self, layout: Layout) -> Collecting:
        cache, recorder = layout.root.parent / "cache", Recorder(self.journal, FakeClock())
        return Collecting(self.store, layout, Cached(cache), Remembered(cache), set, recorder, FakeClock())

    def backend(self) -> Backend:
        layout = self.layout = Layout(Path(tempfile.mkdtemp(prefix="oci-", dir=self.socket.parent.parent)))
        versions, snapshots = self.versions, Snapshots(layout)
        return Backend(
            store=self.store,
            journal=self.journal,
            logs=self.logs,
            cluster=OneWorkload(),
            gateway_status=lambda: GATEWAY,
            artifacts=self.artifacts,
            catalog=Catalog(self.store, self.journal, layout, versions, snapshots, snapshots.files),
            curator=Curator(self.store, versions, Recorder(self.journal, FakeClock()), FakeClock()),
            secrets=self.secrets,
            down=self._down,
            stories=Stories(self.store, self.journal, snapshots.files, FakeClock()),
            transfers=self.transfers,
            data=_data(layout, Recorder(self.journal, FakeClock())),
            collecting=Collecting(
                self.store,
                layout,
                Cached(layout.root.parent / "cache"),
                Remembered(layout.root.parent / "cache"),
                set,
                Recorder(self.journal, FakeClock()),
                FakeClock(),
            ),
            signatures=self.signatures,
            asked=Recorder(self.journal, FakeClock()).asked,
            check_cluster=self.clusters.check,
            claim_cluster=self.clusters.claim,
            diff=self.clusters.diff,
            forward=self.clusters.forward,
            undo=self.clusters.undo,
            shutdown=self._shutdown,
            hub={"version": "0.1.0", "pid": 1, "home": "/home/x"},
            uploads=self.socket.parent.parent / "uploads",
        )

    async def logs(
        self, kind: str, name: str, *, follow: bool, tail: int | None
    ) -> AsyncGenerator[tuple[str, LogLine], None]:
        try:
            for number in range(3)[-tail if tail else 0 :]:
                yield f"{name}-1", LogLine(NOW, 0, "stdout", f"{kind} line {number}")
            if name == "broken":
                raise WorkloadFailed("the log ended", next_step="look")
            if name == "bug":
                raise ValueError("oops")
            if follow:
                await asyncio.Event().wait()
        finally:
            self.logs_closed.set()

    def use(self, store: NotifyingStore) -> None:
        """Serve another store from now on."""
        self.app.state.backend = replace(self.app.state.backend, store=store)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(10)
        assert not self.thread.is_alive()

    async def _down(self, request: DownRequest) -> list[str]:
        self.downs.append(request)
        return ["ModelService/d"]

    def _shutdown(self) -> None:
        self.shutdowns += 1


@contextmanager
def served(folder: Path) -> Iterator[Hub]:
    """A running API; ended and joined afterwards."""
    hub = Hub(folder / "run" / "hub.sock", free_port())
    hub.app = build(hub.backend(), TOKEN)
    listening = threading.Event()

    async def main() -> None:
        hub.loop, hub.stop = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.ensure_future(serve(hub.app, socket=hub.socket, tcp=("127.0.0.1", hub.port), stop=hub.stop))
        await asyncio.sleep(0)  # serve has made its sockets: from now on connections wait
        listening.set()
        await serving

    hub.thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    hub.thread.start()
    assert listening.wait(10)
    try:
        yield hub
    finally:
        if hub.thread.is_alive():
            hub.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unreachable(client: HubClient) -> bool:
    try:
        client.get("/healthz")
    except HubUnreachable:
        return True
    return False
