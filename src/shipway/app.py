"""The composition root: makes every part of the hub, joins them, and runs them until told to stop.

``python -m shipway.app [--listen 127.0.0.1:PORT]`` is the hub. One asyncio process, stateless but for its
store and journal: workloads live under their own supervisors and outlive it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
import sysconfig
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from uv import find_uv_bin

from shipway import __version__, home, hub_log, settings
from shipway.api.app import build
from shipway.api.backend import Backend, DownRequest
from shipway.api.serve import serve
from shipway.clock import SystemClock, wall
from shipway.cluster.local import LocalCluster, UvEnvironments
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
    Stories,
    Views,
)
from shipway.controllers.clusters import Make
from shipway.controllers.listings import Listings
from shipway.controllers.operations.clusters import ClusterOperations
from shipway.controllers.operations.collecting import Collecting
from shipway.controllers.operations.data import DataTransfers
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.signatures import Signatures
from shipway.controllers.operations.supplies import HomeSupplies
from shipway.controllers.operations.transfers import Transfers
from shipway.controllers.operations.undo import Undo
from shipway.data import ARTIFACT_TYPE, Access, DataSets, ObjectStores
from shipway.envoy.gateway import EnvoyGateway
from shipway.envoy.listen import Reservation
from shipway.envoy.workload import envoy_binary, workload
from shipway.errors import ShipwayError
from shipway.image.remembered import Remembered
from shipway.jobs import Platform
from shipway.journal.notifying import NotifyingJournal
from shipway.journal.sqlite import SqliteJournal
from shipway.kinds import LOCAL, Cluster, ClusterStatus, ObjectMeta
from shipway.models import Materials, Snapshots, Versions
from shipway.models.cached import Cached
from shipway.oci import Layout
from shipway.oci import cipher as ciphers
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import DockerCredentials
from shipway.packages.pip_reader import PipReader
from shipway.ports import RemoteCluster
from shipway.recovery.lost import check_nothing_lost
from shipway.recovery.restore import finish
from shipway.secrets import FileSecrets
from shipway.settings import Settings
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore

_KUBERNETES = "shipway.cluster.kubernetes.cluster"
log = logging.getLogger("shipway.hub")


@dataclass(frozen=True, slots=True)
class Hub:
    """All parts of one home, joined. Made by :func:`compose`, run by :func:`run`."""

    backend: Backend
    manager: Manager
    queue: Queue
    cluster: LocalCluster
    clusters: Clusters
    models: ModelController
    metrics: MetricFollower
    environments: UvEnvironments
    clock: SystemClock
    stop: asyncio.Event
    port: Reservation  # the gateway's


@dataclass(frozen=True, slots=True)
class Kept:
    """What a home keeps, opened: for all that is made of it."""

    clock: SystemClock
    store: NotifyingStore
    objects: Objects
    journal: NotifyingJournal
    recorder: Recorder
    layout: Layout
    versions: Versions
    vault: FileSecrets
    data: DataSets
    materials: Materials


def compose(where: Settings) -> Hub:
    """Make and join the parts. Opens files, starts nothing."""
    kept = _opened(where)
    clock, objects, recorder, versions = kept.clock, kept.objects, kept.recorder, kept.versions
    environments = _environments(where)
    cluster = LocalCluster(
        root=where.workloads,
        sockets=where.sockets,
        artifacts=kept.materials,
        environments=environments,
        secrets=where.secrets,
        home_id=home.identity(where),
        inherited=settings.inherited(),
    )
    clusters = Clusters(cluster, objects, _kubernetes(where, kept))
    port = home.gateway_port(where)
    gateway = EnvoyGateway(where.gateway, where.sockets, port.port)
    metrics = MetricFollower(kept.journal)
    here = Platform(f"cpython-{platform.python_version()}", sysconfig.get_platform())
    models = ModelController(objects, clock, versions, kept.materials, recorder)
    envoy = workload(envoy_binary(), where.gateway, name=GATEWAY[1])
    traffic = GatewayController(objects, cluster, gateway, clock, envoy, recorder)
    retention = RetentionController(
        kept.journal,
        clock,
        recorder,
        prune_environments=lambda now, idle: environments.prune(cluster.interpreters(), now, idle=idle),
    )
    told = ServiceJournal(objects, recorder, clock)
    rolling = RollingServices(objects, clusters, clock, told)
    services = ServiceController(objects, cluster, gateway, clock, recorder, versions, told, rolling)
    queue = Queue(
        {
            "Cluster": ClusterController(objects, clusters, clock, recorder).reconcile,
            "ModelJob": JobController(objects, clusters, clock, versions, here, metrics, recorder).reconcile,
            "Model": models.reconcile,
            "ModelService": services.reconcile,
            GATEWAY[0]: traffic.reconcile,
            RETENTION[0]: retention.reconcile,
        },
        clock,
        Setbacks(objects, recorder, clock),
    )
    manager = Manager(objects, clusters, queue)
    kept.store.subscribe(manager.changed.set)
    stop = asyncio.Event()
    backend = _backend(where, kept, clusters, cluster, gateway, traffic, stop)
    return Hub(backend, manager, queue, cluster, clusters, models, metrics, environments, clock, stop, port)


def _opened(where: Settings) -> Kept:
    clock = SystemClock()
    store = NotifyingStore(SqliteStore(where.store, clock.now))
    journal = NotifyingJournal(SqliteJournal(where.journal))
    layout = Layout(where.oci, ciphers.of_file(where.encryption_key))
    vault = FileSecrets(where.secrets)
    data = DataSets(layout, clock, ObjectStores(Access(settings.inherited(), vault.values)))
    return Kept(
        clock=clock,
        store=store,
        objects=Objects(store),
        journal=journal,
        recorder=Recorder(journal, clock),
        layout=layout,
        versions=Versions(layout, clock),
        vault=vault,
        data=data,
        materials=Materials(layout, where.cache, {ARTIFACT_TYPE: data.materialise}),
    )


def _backend(
    where: Settings,
    kept: Kept,
    clusters: Clusters,
    cluster: LocalCluster,
    gateway: EnvoyGateway,
    traffic: GatewayController,
    stop: asyncio.Event,
) -> Backend:
    """What the API serves."""
    clock, objects, recorder, layout = kept.clock, kept.objects, kept.recorder, kept.layout
    parts = Parts(objects, layout, kept.versions, recorder, clock, _registries(where))
    snapshots = Snapshots(layout)
    listings = Listings(snapshots, kept.data)
    views = Views(objects, clusters)
    asked = ClusterOperations(objects, clusters, recorder)
    remembered = Cached(where.cache), Remembered(where.cache)
    return Backend(
        store=kept.store,
        journal=kept.journal,
        logs=views.logs,
        cluster=cluster,
        gateway_status=traffic.summary,
        artifacts=snapshots,
        catalog=Catalog(objects, kept.journal, layout, kept.versions, snapshots, listings.of),
        curator=Curator(objects, kept.versions, recorder, clock),
        secrets=kept.vault,
        down=_down(views, gateway),
        asked=recorder.asked,
        stories=Stories(objects, kept.journal, listings.of, clock),
        transfers=Transfers(parts),
        signatures=Signatures(parts),
        collecting=Collecting(objects, layout, *remembered, cluster.artifacts, recorder, clock),
        data=DataTransfers(kept.data, layout, parts.registry, recorder),
        check_cluster=asked.check,
        claim_cluster=asked.claim,
        diff=asked.diff,
        forward=asked.forward,
        undo=Undo(objects, kept.versions, recorder, clock).undo,
        shutdown=stop.set,
        hub={"version": __version__, "pid": os.getpid(), "home": str(where.home)},
        uploads=where.cache,
    )


def _kubernetes(where: Settings, kept: Kept) -> Make:
    """Makes clusters of their declarations. What they need is imported with the first: most homes have none, and it
    costs a hub a quarter of its memory."""

    def make(declared: Cluster) -> RemoteCluster:
        supplies = HomeSupplies(kept.layout, kept.materials, lambda: _registries(where)(declared.spec.plain_http))
        module = import_module(_KUBERNETES)
        made: RemoteCluster = module.KubernetesCluster(
            declared.spec,
            declared.name,
            home.identity(where),
            settings.inherited(),
            supplies,
            kept.vault.values,
            kept.clock,
        )
        return made

    return make


def _down(views: Views, gateway: EnvoyGateway) -> Callable[[DownRequest], Awaitable[list[str]]]:
    async def down(request: DownRequest) -> list[str]:
        if not request.all:
            return await views.down([(one.kind, one.name) for one in request.objects])
        deleted = await views.down(None)
        gateway.forget()
        return deleted

    return down


async def run(where: Settings, listen: tuple[str, int] | None) -> None:
    """The hub's life: until SIGTERM, SIGINT or a shutdown over the API. Workloads go on afterwards."""
    hub = compose(where)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, hub.stop.set)
    app = build(hub.backend, home.token(where) if listen else None)
    await hub.cluster.adopt()
    await _describe_cluster(hub)
    hub.models.mirror_all()
    manager = asyncio.create_task(hub.manager.run(), name="manager")
    manager.add_done_callback(lambda _: hub.stop.set())
    beat = asyncio.create_task(hub.clock.beat(), name="clock")
    try:
        await serve(app, socket=where.hub_socket, tcp=listen, stop=hub.stop)
    finally:
        ended_by_itself = manager.done()
        beat.cancel()
        manager.cancel()
        with suppress(asyncio.CancelledError):
            await manager
        await hub.metrics.stop()
        await hub.queue.stop()
        hub.environments.close()
        await hub.clusters.close()
        await hub.cluster.close()
        hub.backend.store.close()
        hub.backend.journal.close()
        hub.port.close()
    if ended_by_itself:
        raise SystemExit(70)


async def _describe_cluster(hub: Hub) -> None:
    info = await hub.cluster.info()
    status = ClusterStatus(cpus=info.cpus, memory=info.memory, limits=info.limits, notes=info.notes)
    store = hub.backend.store
    objects, _ = store.list("Cluster")
    present = next((one for one in objects if isinstance(one, Cluster) and one.name == LOCAL), None)
    here = present or Cluster(metadata=ObjectMeta(name=LOCAL))
    stored = store.put(here)
    assert isinstance(stored, Cluster)
    store.put(stored.mark_ready(status, hub.clock.now()))


def _registries(where: Settings) -> Callable[[bool], Registry]:
    credentials = DockerCredentials(where.docker_config)
    return lambda plain_http: Registry(credentials, plain_http=plain_http or None)


def _environments(where: Settings) -> UvEnvironments:
    inherited = settings.inherited()
    return UvEnvironments(
        root=where.cache / "environments",
        bodies=where.cache / "bodies",
        uv=Path(find_uv_bin()),
        pip=PipReader(inherited),
        inherited=inherited,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the hub of this process's home; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shipway.app", description="The hub of one Shipway home.")
    parser.add_argument("--listen", metavar="127.0.0.1:PORT", help="also serve the API over TCP, with a token")
    asked = parser.parse_args(arguments)
    hub_log.begin()
    os.umask(0o077)  # all that the hub and what it starts write is its owner's
    try:
        where = settings.read()
        hub_log.begin(where.hub_log)
        listen = settings.loopback(asked.listen) if asked.listen else None
        home.own(where)
        with home.only_hub(where) as alone:
            if not alone:
                log.info("another hub serves %s", where.home)
                return 0
            log.info("Shipway %s serves %s", __version__, where.home)
            with home.failure_told(where):
                finish(where, wall())
                check_nothing_lost(where)
                asyncio.run(run(where, listen))
            home.leave_sockets(where)
    except ShipwayError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
