"""A hub with many settled services and no process: everything of the hub is real but the cluster and the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shipway.bundle import Workload
from shipway.clock import SystemClock
from shipway.controllers import (
    GATEWAY,
    Clusters,
    GatewayController,
    Manager,
    ModelController,
    Objects,
    Queue,
    Recorder,
    RollingServices,
    ServiceController,
    ServiceJournal,
)
from shipway.errors import Refused
from shipway.journal.sqlite import SqliteJournal
from shipway.kinds import Cluster, ModelService, ModelServiceSpec, ObjectMeta
from shipway.models import Lineage, Materials, Versions
from shipway.oci import Layout
from shipway.ports import RemoteCluster
from shipway.settings import Settings
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore
from shipway.testing.cluster import FakeCluster
from shipway.testing.gateway import FakeGateway

_ENVOY = Workload(name=GATEWAY[1], mode="server", command=("envoy",), environment=None)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The joined parts, and what settles by itself: each workload is ready as soon as it is applied."""

    objects: Objects
    queue: Queue

    async def settle(self) -> None:
        """Until a second passes in which nothing is written: a rollout's drain takes longer than its steps."""
        quiet, version = 0, 0
        while quiet < 10:
            await asyncio.sleep(0.1)
            await self.queue.idle()
            before, version = version, self.objects.list("Cluster")[1]
            quiet = quiet + 1 if version == before else 0

    async def look_at_all(self) -> None:
        """Every key once."""
        for one in self.objects.list()[0]:
            self.queue.add(one.key)
        self.queue.add(GATEWAY)
        await self.queue.idle()


def _no_other(declared: Cluster) -> RemoteCluster:
    raise Refused(f"cluster {declared.name}: all services of this fleet are here")


@asynccontextmanager
async def fleet(where: Settings, services: int) -> AsyncIterator[Fleet]:
    """A hub with so many services, each of a model of its own, rolled out and at rest."""
    clock = SystemClock()
    store = NotifyingStore(SqliteStore(where.store, clock.now))
    objects = Objects(store)
    journal = SqliteJournal(where.journal)
    cluster = FakeCluster(play=lambda cluster, workload: cluster.set_ready(workload.name))
    gateway = FakeGateway()
    layout = Layout(where.oci)
    versions = Versions(layout, clock)
    recorder = Recorder(journal, clock)
    models = ModelController(objects, clock, versions, Materials(layout, where.cache), recorder)
    traffic = GatewayController(objects, cluster, gateway, clock, _ENVOY, recorder)
    clusters = Clusters(cluster, objects, _no_other)
    told = ServiceJournal(objects, recorder, clock)
    rolling = RollingServices(objects, clusters, clock, told)
    controller = ServiceController(objects, cluster, gateway, clock, recorder, versions, told, rolling)
    queue = Queue(
        {
            "Model": models.reconcile,
            "ModelService": controller.reconcile,
            GATEWAY[0]: traffic.reconcile,
        },
        clock,
    )
    names = [f"service-{number:04d}" for number in range(services)]
    _publish(layout, versions, where.home, names)
    for name in names:
        spec = ModelServiceSpec(model=name, requirements=("scikit-learn==1.5.2", "numpy==2.1.3"), env={"LEVEL": "info"})
        store.put(ModelService(metadata=ObjectMeta(name=name), spec=spec))
    manager = Manager(objects, clusters, queue)
    store.subscribe(manager.changed.set)
    models.mirror_all()
    tasks = [asyncio.create_task(manager.run()), asyncio.create_task(clock.beat())]
    made = Fleet(objects, queue)
    try:
        await made.settle()
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await queue.stop()
        store.close()
        journal.close()


def _publish(layout: Layout, versions: Versions, folder: Path, names: list[str]) -> None:
    """One version of each model. They share their bytes, and the index is written once."""
    output = folder / "output"
    output.mkdir()
    (output / "model.skops").write_bytes(b"weights")
    versions.pack("template", output, Lineage(origin="job", run="template-1", metrics={"accuracy": 0.97}))
    manifest = layout.resolve("template:1")
    with layout.edit() as edit:
        for name in names:
            edit.index = edit.index.with_tag(f"{name}:1", manifest)
