"""Services and jobs on a cluster that exchanges replicas by itself, and places that come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shipway.bundle import Bundle, Owner, Terms, Workload
from shipway.controllers.operations.clusters import ClusterOperations
from shipway.controllers.recorder import Recorder
from shipway.errors import ClusterRefused, ClusterUnreachable, NotFound, Refused, WorkloadFailed
from shipway.kinds import (
    FORCE_CONFLICTS,
    RETRY,
    Cluster,
    ClusterSpec,
    ModelJob,
    ModelService,
    ModelServiceSpec,
    Revision,
)
from shipway.testing.remote_cluster import FakeRemoteCluster
from tests.controllers.world import World, play

AWAY = ClusterUnreachable("https://prod:6443 does not answer")
SERVER: dict[str, Any] = {"command": ("./serve",), "image": "reg/serve@sha256:" + "a" * 64, "cluster": "prod"}
SPEC = ClusterSpec(type="kubernetes", namespace="ml", registry="reg/team")


async def prod(world: World) -> FakeRemoteCluster:
    await world.apply(Cluster, "prod", SPEC)
    return world.remotes["prod"]


async def live(world: World, **spec: Any) -> FakeRemoteCluster:
    remote = await prod(world)
    await world.service(**{**SERVER, **spec})
    remote.roll_out("digits")
    await world.settle()
    return remote


def test_a_place_says_what_it_can_and_whether_it_answers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await prod(world)
        status = world.get(Cluster, "prod").status
        assert (status.version, status.nodes, status.cpus, status.owner) == ("v1.36.2", 2, 8.0, "this")
        remote.away = AWAY
        await world.advance(60.0)
        told = world.get(Cluster, "prod").status.condition("Ready")
        assert told is not None and (told.status, told.reason) == ("False", "ClusterUnreachable")
        assert world.get(Cluster, "prod").status.version == "v1.36.2", "what was seen last stays"
        remote.away = None
        await world.advance(10.0)
        assert world.reason(world.get(Cluster, "prod"), "Ready") == "Reachable"

    play(tmp_path, scene)


def test_a_service_with_secrets_is_given_to_its_cluster_again_every_minute(tmp_path: Path) -> None:
    """Nobody tells that a secret has another value; the cluster looks whether its replicas have it."""

    async def scene(world: World) -> None:
        env = {"TOKEN": {"secret": {"name": "web", "key": "token"}}}
        remote = await live(world, env=env)
        applied: list[str] = []
        apply = remote.apply

        async def counted(workload: Workload, terms: Terms | None = None) -> None:
            applied.append(workload.name)
            await apply(workload, terms)

        remote.apply = counted  # type: ignore[method-assign]
        await world.advance(61.0)
        assert applied == ["digits"]

    play(tmp_path, scene)


def test_a_changed_declaration_is_another_connection(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        before = await prod(world)
        del world.remotes["prod"]
        await world.apply(Cluster, "prod", SPEC.model_copy(update={"namespace": "other"}))
        assert before.closed
        assert world.remotes["prod"] is not before
        world.store.delete("Cluster", "prod")
        await world.settle()
        assert world.remotes["prod"].closed

    play(tmp_path, scene)


def test_the_cluster_exchanges_replicas_and_the_ledger_says_who_is_live(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await prod(world)
        service = await world.service(**SERVER, replicas=2)
        assert world.reason(service, "RolledOut") == "Progressing"
        assert world.reason(service, "Ready") == "NothingLive"
        remote.roll_out("digits")
        await world.settle()
        service = world.service_now()
        assert (service.status.ready_revision, service.status.ready_replicas) == ("digits-00001", 2)
        assert service.status.cluster == "prod"
        await world.service(**SERVER, replicas=2, env={"A": "1"})
        assert world.service_now().status.ready_revision == "digits-00001", "the one before serves"
        assert world.get(Revision, "digits-00001").status.phase == "Ready"
        remote.roll_out("digits")
        await world.settle()
        assert world.service_now().status.ready_revision == "digits-00002"
        assert world.get(Revision, "digits-00001").status.phase == "Retired"
        lines = world.journal.entries(subject="ModelService/digits", type="ledger")
        assert [(one.data["to"], one.data["cluster"]) for one in lines] == [
            ("digits-00001", "prod"),
            ("digits-00002", "prod"),
        ]
        assert {one.name for one in remote.applied} == {"digits"}, "one workload, whichever revision"
        assert world.cluster.applied == [] or all(one.name == "gateway" for one in world.cluster.applied)

    play(tmp_path, scene)


def test_what_does_not_get_ready_is_given_up_and_may_still_come(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        await world.service(**SERVER, env={"A": "1"})
        remote.stall("digits", "ImagePullBackOff", "the image is not in the registry")
        await world.advance(140.0)
        service = world.service_now()
        assert world.reason(service, "RolledOut") == "ImagePullBackOff"
        assert service.status.ready_revision == "digits-00001"
        assert world.get(Revision, "digits-00002").status.phase == "Failed"
        remote.roll_out("digits")
        await world.settle()
        assert world.service_now().status.ready_revision == "digits-00002"

    play(tmp_path, scene)


def test_what_the_cluster_refuses_is_said_and_the_one_before_serves(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        remote.refuses = ClusterRefused("the quota 'ml' is used up", status=403, reason="QuotaExceeded")
        await world.service(**SERVER, env={"A": "1"})
        service = world.service_now()
        told = service.status.condition("RolledOut")
        assert told is not None and (told.reason, told.message) == ("QuotaExceeded", "the quota 'ml' is used up")
        assert service.status.is_true("Ready")
        remote.refuses = None
        await world.service(**SERVER, env={"A": "2"})
        remote.roll_out("digits")
        await world.settle()
        assert world.service_now().status.is_true("RolledOut")

    play(tmp_path, scene)


def test_what_is_refused_at_first_has_failed_and_is_tried_when_asked_again(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await prod(world)
        remote.refuses = ClusterRefused("the quota 'ml' is used up", status=403, reason="QuotaExceeded")
        service = await world.service(**SERVER)
        assert world.reason(service, "RolledOut") == "QuotaExceeded"
        assert world.get(Revision, "digits-00001").status.phase == "Failed"
        remote.refuses = None
        service = await world.apply(ModelService, "digits", service.spec, annotations={RETRY: "again"})
        assert service.status.retry == "again"
        remote.roll_out("digits")
        await world.settle()
        assert world.service_now().status.is_true("RolledOut")

    play(tmp_path, scene)


def test_fields_of_others_are_taken_once_when_that_is_asked(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        spec = ModelServiceSpec.model_validate({**SERVER, "env": {"A": "1"}})
        forced: list[bool] = []
        apply = remote.apply

        async def noting(workload: Workload, terms: Terms | None = None) -> None:
            forced.append(terms is not None and terms.force_conflicts)
            await apply(workload, terms)

        remote.apply = noting  # type: ignore[method-assign]
        await world.apply(ModelService, "digits", spec, annotations={FORCE_CONFLICTS: "true"})
        assert forced[0]
        assert FORCE_CONFLICTS not in world.service_now().metadata.annotations
        assert not forced[-1]
        assert {one.hash() for one in (bundle(spec, True), bundle(spec, False))} == {bundle(spec, True).hash()}

    def bundle(spec: ModelServiceSpec, force: bool) -> Bundle:
        terms = Terms(Owner("ModelService", "digits"), spec.image, force_conflicts=force)
        return Bundle(Workload("digits", "server", spec.command), terms)

    play(tmp_path, scene)


def test_an_api_server_that_is_away_changes_nothing_and_is_shown(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        revisions = len(world.store.list("Revision")[0])
        remote.away = AWAY
        remote.seen_last("digits")
        await world.advance(60.0)
        service = world.service_now()
        assert service.status.ready_revision == "digits-00001"
        assert service.status.is_true("RolledOut")
        told = service.status.condition("Reconciled")
        assert told is not None and (told.status, told.message) == ("False", AWAY.message)
        remote.away = None
        remote.roll_out("digits")
        remote._change("digits", stale_since=None)
        await world.advance(40.0)
        assert len(world.store.list("Revision")[0]) == revisions
        assert world.service_now().status.is_true("Reconciled")
        assert len(remote.deleted) == 0

    play(tmp_path, scene)


def test_a_service_moves_between_places_and_serves_all_the_way(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        here = {name: value for name, value in SERVER.items() if name != "cluster"}
        await world.service(**here)
        await world.make_ready("digits-00001")
        remote = await prod(world)
        await world.service(**SERVER)
        assert await world.cluster.observe("digits-00001") is not None, "it serves until the other one does"
        remote.roll_out("digits")
        await world.settle()
        assert world.service_now().status.cluster == "prod"
        assert await world.cluster.observe("digits-00001") is None
        assert world.store.list("Route")[0] == []
        await world.service(**here)
        assert await remote.observe("digits") is not None
        await world.make_ready("digits-00001")
        await world.settle()
        assert world.service_now().status.cluster == "local"
        assert await remote.observe("digits") is None

    play(tmp_path, scene)


def test_a_deleted_service_is_deleted_where_it_runs(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        world.store.delete("ModelService", "digits")
        await world.settle()
        assert remote.deleted == ["digits"]
        with pytest.raises(NotFound):
            world.store.get("ModelService", "digits")

    play(tmp_path, scene)


def test_down_does_not_wait_for_a_cluster_that_is_away(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        remote.away = AWAY
        down = asyncio.create_task(world.views.down(None))
        for _ in range(4):
            await world.advance(1.0)
        with pytest.raises(ClusterUnreachable, match="ModelService/digits: asked for, and not gone yet"):
            await down
        remote.away = None
        await world.advance(40.0)
        assert remote.deleted == ["digits"]

    play(tmp_path, scene)


def test_an_unknown_cluster_is_a_condition(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service(**{**SERVER, "cluster": "typo"})
        told = service.status.condition("RolledOut")
        assert told is not None and told.reason == "ClusterNotFound"
        assert "there is no cluster 'typo'" in told.message
        await prod(world)
        world.store.delete("ModelService", "digits")
        await world.settle()
        assert world.store.list("ModelService")[0] == []

    play(tmp_path, scene)


def test_a_job_runs_where_it_says_and_its_logs_and_metrics_come_back(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await prod(world)
        await world.job(cluster="prod", image="reg/train@sha256:" + "a" * 64)
        name = world.run_name()
        assert [one.name for one in remote.applied] == [name]
        remote.start(name)
        remote.write(name, '\x1eshipway-metrics {"metrics": {"accuracy": 0.9}}')
        remote.finish(name, output=world.output())
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert (job.status.phase, job.status.version, job.status.metrics) == (
            "Succeeded",
            "digits:1",
            {"accuracy": 0.9},
        )
        assert job.status.run is not None and job.status.run.cluster == "prod"
        lines = [line.text async for _, line in world.views.logs("ModelJob", "digits")]
        assert len(lines) == 1
        world.store.delete("ModelJob", "digits")
        await world.settle()
        assert remote.deleted == [name]

    play(tmp_path, scene)


def test_a_job_that_the_cluster_refuses_fails_with_its_words(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await prod(world)
        remote.refuses = Refused("no image", next_step="run shipway up")
        job = await world.job(cluster="prod")
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert job.status.phase == "Failed"
        assert world.reason(job, "Complete") == "Refused"

    play(tmp_path, scene)


def test_what_a_person_asks_about_clusters(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        remote = await live(world)
        recorder = Recorder(world.journal, world.clock)
        asked = ClusterOperations(world.objects, world.clusters, recorder)
        assert await asked.forward("digits") == 40000
        with pytest.raises(NotFound):
            await asked.forward("nobody")
        assert (await asked.check(SPEC, "new"))[0]["state"] == "ok"
        assert world.remotes["new"].closed, "a look leaves nothing behind"
        assert (await asked.claim("prod", take_over=True, by="me"))["before"] == "other"
        (line,) = world.journal.entries(subject="Cluster/prod", type="ledger")
        assert (line.reason, line.data["before"], line.data["by"]) == ("TakenOver", "other", "me")
        service = world.service_now()
        assert await asked.diff([service]) == []
        changed = service.model_copy(update={"spec": service.spec.model_copy(update={"env": {"A": "1"}})})
        (difference,) = await asked.diff([changed])
        assert difference["object"] == "prod: Deployment/digits"
        with pytest.raises(Refused, match="this machine"):
            world.clusters.remote("local")
        remote.stall("digits", "", "")
        await world.apply(ModelService, "digits", service.spec.model_copy(update={"cluster": "local"}))
        with pytest.raises(Refused, match="runs on this machine"):
            await asked.forward("digits")
        await world.service(**SERVER, replicas=0)
        remote.roll_out("digits")
        await world.settle()
        with pytest.raises(WorkloadFailed):
            await asked.forward("digits")

    play(tmp_path, scene)


def test_a_watch_that_breaks_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipway.controllers.clusters._AGAIN", 0.0)

    async def scene(world: World) -> None:
        remote = await live(world)
        watch, broken = remote.watch, [AWAY]

        async def breaks() -> Any:
            if broken:
                raise broken.pop()
            async for name in watch():
                yield name

        remote.watch = breaks  # type: ignore[method-assign]
        world.clusters.forget("prod")
        world.clusters.of("prod")
        await asyncio.sleep(0.01)
        assert broken == []

    play(tmp_path, scene)
