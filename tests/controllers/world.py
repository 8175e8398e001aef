"""A whole hub on fakes: real controllers, queue and manager; virtual processes, gateway and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from shipway.bundle import Workload
from shipway.controllers import (
    GATEWAY,
    RETENTION,
    Catalog,
    ClusterController,
    Clusters,
    Curator,
    GatewayController,
    JobController,
    Manager,
    MetricFollower,
    ModelController,
    Objects,
    Queue,
    Recorder,
    RetentionController,
    RollingServices,
    ServiceController,
    ServiceJournal,
    Setbacks,
    Views,
)
from shipway.controllers.templates import run_workload_name
from shipway.controllers.updates import find, update
from shipway.jobs import Platform
from shipway.kinds import (
    Cluster,
    Model,
    ModelJob,
    ModelJobSpec,
    ModelService,
    ModelServiceSpec,
    Object,
    ObjectMeta,
    Route,
)
from shipway.models import Materials, Snapshots, Versions
from shipway.oci import Layout
from shipway.retention import Retention
from shipway.store.notifying import NotifyingStore
from shipway.testing.clock import FakeClock
from shipway.testing.cluster import FakeCluster
from shipway.testing.gateway import FakeGateway
from shipway.testing.journal import FakeJournal
from shipway.testing.remote_cluster import FakeRemoteCluster
from shipway.testing.store import FakeStore
from shipway.traffic import GatewayState

T = TypeVar("T", bound=Object)
W = TypeVar("W", bound="World")
ENVOY = Workload(name=GATEWAY[1], mode="server", command=("envoy",), environment=None)


class World:
    """Everything of one home. ``restart`` is a kill -9 of the hub: controllers and memory go, the rest stays."""

    def __init__(self, folder: Path, retention: Retention = Retention()) -> None:
        self.folder = folder
        self.retention = retention
        self.clock = FakeClock()
        self.store = NotifyingStore(FakeStore(self.clock.now))
        self.journal = FakeJournal()
        self.cluster = FakeCluster(now=self.clock.now)
        self.remotes: dict[str, FakeRemoteCluster] = {}
        self.gateway = FakeGateway()
        self.layout = Layout(folder / "oci")
        self.versions = Versions(self.layout, self.clock)
        self.objects: Objects
        self.queue: Queue
        self.views: Views
        self.catalog: Catalog
        self.curator: Curator
        self.models: ModelController
        self._task: asyncio.Task[None] | None = None
        self._metrics: MetricFollower

    def _remote(self, declared: Cluster) -> FakeRemoteCluster:
        return self.remotes.setdefault(declared.name, FakeRemoteCluster(now=self.clock.now))

    def seen_by_hub(self, part: Any) -> Any:
        """The part as the hub gets it; for worlds in which hubs die (see mortal.py)."""
        return part

    async def start(self) -> None:
        store, journal = self.seen_by_hub(self.store), self.seen_by_hub(self.journal)
        cluster, gateway = self.seen_by_hub(self.cluster), self.seen_by_hub(self.gateway)
        versions = self.seen_by_hub(self.versions)
        self.objects = Objects(store)
        recorder = Recorder(journal, self.clock)
        self._metrics = MetricFollower(journal)
        here = Platform("cpython-3.11.7", "linux")
        materials = Materials(self.layout, self.folder / "cache")
        self.models = ModelController(self.objects, self.clock, versions, materials, recorder)
        rules = self.retention
        clusters = Clusters(cluster, self.objects, self._remote)
        told = ServiceJournal(self.objects, recorder, self.clock)
        rolling = RollingServices(self.objects, clusters, self.clock, told)
        jobs = JobController(self.objects, clusters, self.clock, versions, here, self._metrics, recorder, rules)
        parts = (self.objects, cluster, gateway, self.clock, recorder, versions)
        services = ServiceController(*parts, told, rolling, rules)
        traffic = GatewayController(self.objects, cluster, gateway, self.clock, ENVOY, recorder)
        self.queue = Queue(
            {
                "Cluster": ClusterController(self.objects, clusters, self.clock, recorder).reconcile,
                "ModelJob": jobs.reconcile,
                "Model": self.models.reconcile,
                "ModelService": services.reconcile,
                GATEWAY[0]: traffic.reconcile,
                RETENTION[0]: RetentionController(journal, self.clock, recorder, rules).reconcile,
            },
            self.clock,
            Setbacks(self.objects, recorder, self.clock),
        )
        manager = Manager(self.objects, clusters, self.queue)
        self._unsubscribe = self.store.subscribe(manager.changed.set)
        self.clusters = clusters
        self.views = Views(self.objects, clusters)
        snapshots = Snapshots(self.layout)
        self.catalog = Catalog(self.objects, journal, self.layout, versions, snapshots, snapshots.files)
        self.curator = Curator(self.objects, versions, recorder, self.clock)
        self._task = asyncio.create_task(manager.run())
        await self.settle()

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._metrics.stop()
        await self.queue.stop()
        await self.clusters.close()
        self._unsubscribe()
        self.objects.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def settle(self) -> None:
        """Until nothing moves any more without time or the test."""
        for _ in range(12):
            await self.clock.advance(0)
            await self.queue.idle()

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await self.settle()

    async def apply(self, cls: type[T], name: str, spec: Any, **metadata: Any) -> T:
        """Create the object, or replace its spec."""
        present = find(self.store, cls, name)
        if present is None:
            self.store.put(cls.model_construct(metadata=ObjectMeta(name=name, **metadata), spec=spec))
        else:
            meta = present.metadata.model_copy(update=metadata)
            update(self.store, cls, name, lambda one: one.model_copy(update={"spec": spec, "metadata": meta}))
        await self.settle()
        return self.get(cls, name)

    def get(self, cls: type[T], name: str) -> T:
        found = find(self.store, cls, name)
        assert found is not None, f"there is no {cls.__name__}/{name}"
        return found

    # -- the usual cast

    async def job(self, **spec: Any) -> ModelJob:
        fields = {"command": ("python", "train.py"), "model": "digits", **spec}
        return await self.apply(ModelJob, "digits", ModelJobSpec.model_validate(fields))

    async def service(self, **spec: Any) -> ModelService:
        fields = spec if "command" in spec else {"model": "digits", **spec}
        return await self.apply(ModelService, "digits", ModelServiceSpec.model_validate(fields))

    def run_name(self) -> str:
        run = self.get(ModelJob, "digits").status.run
        assert run is not None
        return run_workload_name(run)

    def output(self, text: str = "weights") -> str:
        """A folder such as a run leaves behind."""
        folder = self.folder / f"output-{len(list(self.folder.glob('output-*')))}"
        folder.mkdir()
        (folder / "model.joblib").write_text(text)
        return str(folder)

    async def train(self, accuracy: float = 0.95, text: str = "weights") -> None:
        """Let the run under way end well."""
        name = self.run_name()
        self.cluster.start(name)
        self.cluster.write(name, f'\x1eshipway-metrics {{"metrics": {{"accuracy": {accuracy}}}}}')
        self.cluster.finish(name, output=self.output(text))
        await self.settle()

    async def make_ready(self, revision: str) -> None:
        self.cluster.set_ready(revision)
        await self.settle()

    def endpoints(self) -> int:
        """How many replicas the gateway sends requests to."""
        return len(self.gateway.table.upstreams[0].endpoints)

    def outage(self, state: GatewayState | None) -> None:
        """The gateway answers with this state from now on; None ends that."""
        self.gateway.outage = state

    def weights(self) -> tuple[tuple[str, int], ...]:
        """What the gateway serves for the service."""
        return next((one.weights for one in self.gateway.table.routes if one.service == "digits"), ())

    def reason(self, obj: Object, type_: str) -> str:
        condition = obj.status.condition(type_)
        return condition.reason if condition else ""

    def service_now(self) -> ModelService:
        return self.get(ModelService, "digits")

    def route_now(self) -> Route:
        return self.get(Route, "digits")

    def model_now(self) -> Model:
        return self.get(Model, "digits")


def play(folder: Path, body: Callable[[World], Awaitable[None]]) -> None:
    """Run a scene in a fresh world."""
    play_in(World(folder), body)


def play_in(world: W, body: Callable[[W], Awaitable[None]]) -> None:
    """Run a scene in that world."""

    async def scene() -> None:
        await world.start()
        try:
            await body(world)
        finally:
            await world.stop()

    asyncio.run(scene())
