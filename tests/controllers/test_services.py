"""Services: revisions, traffic, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shipway.bundle import Replica
from shipway.controllers.updates import update
from shipway.errors import NotFound
from shipway.kinds import RETRY, Model, ModelSpec, ObjectMeta, Revision, Source
from shipway.models import Lineage, Snapshots
from shipway.snapshot import collect, write_tar
from shipway.traffic import GatewayState
from tests.controllers.world import ENVOY, World, play


async def trained(world: World) -> None:
    await world.job()
    await world.train()


async def serving(world: World, **spec: object) -> None:
    await trained(world)
    await world.service(**spec)
    await world.make_ready("digits-00001")


def test_a_service_waits_for_its_model_and_then_serves_it(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        service = await world.service()
        assert world.reason(service, "RolledOut") == "ModelNotAvailable"
        await trained(world)
        assert world.weights() == ()
        await world.make_ready("digits-00001")
        service = world.service_now()
        assert (service.status.ready_revision, service.status.ready_replicas) == ("digits-00001", 1)
        assert service.status.url == "http://127.0.0.1:8100/digits"
        assert service.status.model is not None and service.status.model.version == 1
        assert world.weights() == (("digits-00001", 100),)
        assert world.journal.entries(subject="ModelService/digits", type="ledger")[-1].reason == "Live"

    play(tmp_path, scene)


def test_a_new_version_gets_traffic_when_ready_and_the_old_one_is_drained(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.job(params={"C": 2})
        await world.train(text="other")
        assert world.weights() == (("digits-00001", 100),)
        world.gateway.requests["digits-00001"] = 3
        await world.make_ready("digits-00002")
        assert world.weights() == (("digits-00002", 100),)
        await world.advance(2.0)
        assert "digits-00001" not in world.cluster.deleted
        world.gateway.requests["digits-00001"] = 0
        await world.advance(0.5)
        assert "digits-00001" in world.cluster.deleted
        assert world.get(Revision, "digits-00001").status.phase == "Retired"
        assert world.service_now().status.ready_revision == "digits-00002"

    play(tmp_path, scene)


def test_requests_without_a_time_limit_may_end_too(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, timeout="0s")
        await world.service(timeout="0s", predictor="predictor.py:New")
        world.gateway.requests["digits-00001"] = 1
        await world.make_ready("digits-00002")
        await world.advance(600.0)
        assert "digits-00001" not in world.cluster.deleted
        world.gateway.requests["digits-00001"] = 0
        await world.advance(0.5)
        assert "digits-00001" in world.cluster.deleted

    play(tmp_path, scene)


def test_a_revision_that_does_not_load_never_gets_traffic(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.service(predictor="predictor.py:New")
        world.cluster.start("digits-00002")
        world.cluster.set_replica("digits-00002", Replica(0, "Exited", exit_code=3, message="no class New"))
        await world.settle()
        service = world.service_now()
        condition = service.status.condition("RolledOut")
        assert condition is not None and (condition.status, condition.message) == ("False", "no class New")
        assert service.status.ready_revision == "digits-00001"
        assert service.status.model is not None and service.status.model.version == 1
        served = {name for table in world.gateway.tables for route in table.routes for name, _ in route.weights}
        assert served == {"digits-00001"}
        assert world.cluster.workload("digits-00002").replicas == 0

    play(tmp_path, scene)


def test_a_failed_revision_starts_again_when_asked(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world)
        service = await world.service()
        world.cluster.fail_preparing("digits-00001", message="no network")
        await world.settle()
        assert world.reason(world.service_now(), "RolledOut") == "EnvironmentFailed"
        await world.apply(type(service), "digits", service.spec, annotations={RETRY: "t1"})
        assert world.get(Revision, "digits-00001").status.phase == "Starting"
        await world.make_ready("digits-00001")
        assert world.weights() == (("digits-00001", 100),)

    play(tmp_path, scene)


def test_going_back_uses_the_revision_that_exists(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, env={"A": "1"})
        await world.service(env={"A": "2"})
        await world.make_ready("digits-00002")
        await world.advance(3.0)
        await world.service(env={"A": "1"})
        await world.make_ready("digits-00001")
        assert world.weights() == (("digits-00001", 100),)
        assert len(world.store.list("Revision")[0]) == 2

    play(tmp_path, scene)


def test_scaling_makes_no_revision_and_leaves_the_gateway_first(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, replicas=1)
        await world.service(replicas=3)
        assert world.cluster.workload("digits-00001").replicas == 3
        await world.make_ready("digits-00001")
        assert world.endpoints() == 3
        world.outage(GatewayState(False, "Unreachable", "killed"))
        await world.service(replicas=1)
        assert world.cluster.workload("digits-00001").replicas == 3
        world.outage(None)
        await world.advance(1.0)
        assert world.endpoints() == 1
        assert world.cluster.workload("digits-00001").replicas == 1

    play(tmp_path, scene)


def test_a_killed_replica_leaves_the_gateway_and_comes_back(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, replicas=2)
        world.cluster.kill("digits-00001", 1)
        await world.settle()
        assert world.endpoints() == 1
        assert world.service_now().status.ready_replicas == 1
        await world.make_ready("digits-00001")
        assert world.endpoints() == 2

    play(tmp_path, scene)


def test_a_gateway_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.outage(GatewayState(False, "Unreachable", "no Envoy"))
        await serving(world)
        condition = world.route_now().status.condition("Programmed")
        assert condition is not None and (condition.status, condition.message) == ("False", "no Envoy")
        assert world.service_now().status.ready_revision == ""
        world.outage(None)
        await world.advance(1.0)
        assert world.service_now().status.ready_revision == "digits-00001"

    play(tmp_path, scene)


def test_an_envoy_that_ends_says_why(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.outage(GatewayState(False, "Unreachable", "no Envoy"))
        await serving(world)
        world.cluster.start("gateway")
        world.cluster.kill("gateway", signal=11)
        await world.advance(1.0)
        assert world.reason(world.route_now(), "Programmed") == "GatewayEnded"

    play(tmp_path, scene)


def test_an_own_server_needs_no_model(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service(command=["flask", "run", "--port", "$(PORT)"])
        await world.make_ready("digits-00001")
        workload = world.cluster.workload("digits-00001")
        assert workload.command == ("flask", "run", "--port", "$(PORT)") and workload.readiness is not None
        assert workload.readiness.path is None
        assert world.weights() == (("digits-00001", 100),)

    play(tmp_path, scene)


def test_a_foreign_pickle_is_refused_until_trusted(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.versions.pack("digits", Path(world.output()), Lineage(origin="import"))
        world.models.mirror_all()
        await world.settle()
        service = await world.service()
        condition = service.status.condition("RolledOut")
        assert condition is not None and condition.reason == "PickleNotTrusted"
        assert "allowPickle: true" in condition.message
        assert world.store.list("Revision")[0] == []
        await world.service(allowPickle=True)
        assert world.cluster.workload("digits-00001").env["SHIPWAY_ALLOW_PICKLE"] == "1"

    play(tmp_path, scene)


def test_a_service_whose_model_went_away_is_still_looked_after(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, replicas=2)
        world.store.delete("Model", "digits")
        await world.settle()
        world.cluster.kill("digits-00001", 1)
        await world.settle()
        service = world.service_now()
        assert world.reason(service, "RolledOut") == "ModelNotAvailable"
        assert (service.status.ready_revision, service.status.ready_replicas) == ("digits-00001", 1)
        await world.service(replicas=1)
        assert world.cluster.workload("digits-00001").replicas == 1

    play(tmp_path, scene)


def test_what_another_shipway_started_goes_on(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        world.cluster.rehash("digits-00001", "sha256:another")
        await world.restart()
        assert world.service_now().status.ready_revision == "digits-00001"
        await world.service(env={"A": "2"})
        await world.make_ready("digits-00002")
        assert world.weights() == (("digits-00002", 100),)

    play(tmp_path, scene)


def test_brought_files_become_a_version_once(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"onnx")
        tar = tmp_path / "tar"
        with tar.open("wb") as file:
            digest = write_tar(collect(folder, ("**",)), file)
        with tar.open("rb") as file:
            Snapshots(world.layout).store(digest, file)
        model = await world.apply(Model, "digits", ModelSpec(source=Source(digest=digest)))
        assert model.status.aliases == {"latest": 1, "champion": 1}
        await world.restart()
        assert len(world.model_now().status.versions) == 1
        await world.service()
        assert world.cluster.workload("digits-00001").model == model.status.versions[0].digest

    play(tmp_path, scene)


def test_files_that_come_during_an_import_are_imported_next(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        digests = []
        for text in ("one", "two"):
            folder = tmp_path / text
            folder.mkdir()
            (folder / "model.onnx").write_text(text)
            tar = tmp_path / f"{text}.tar"
            with tar.open("wb") as file:
                digests.append(write_tar(collect(folder, ("**",)), file))
            with tar.open("rb") as file:
                Snapshots(world.layout).store(digests[-1], file)
        first = Model(metadata=ObjectMeta(name="digits"), spec=ModelSpec(source=Source(digest=digests[0])))
        stored = world.store.put(first)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the reconcile of the first files has begun
        update(
            world.store,
            Model,
            stored.name,
            lambda one: one.model_copy(update={"spec": ModelSpec(source=Source(digest=digests[1]))}),
        )
        await world.settle()
        model = world.model_now()
        assert len(model.status.versions) == 2
        assert (model.status.source, model.status.observed_generation) == (digests[1], 2)

    play(tmp_path, scene)


def test_files_that_are_not_there_fail_the_import(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        model = await world.apply(Model, "digits", ModelSpec(source=Source(digest="sha256:" + "a" * 64)))
        assert world.reason(model, "Ready") == "ImportFailed"

    play(tmp_path, scene)


def test_a_deleted_service_leaves_nothing(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.views.down([("ModelService", "digits")])
        assert await world.cluster.observe("digits-00001") is None
        assert [one.kind for one in world.store.list()[0]] == ["Model", "ModelJob"]
        assert world.gateway.table.routes == ()
        assert await world.views.down(None) == ["ModelJob/digits"]
        assert await world.cluster.list() == ()
        with pytest.raises(NotFound):
            world.store.get("ModelJob", "digits")

    play(tmp_path, scene)


def test_down_ends_a_gateway_that_a_late_pass_starts_once_more(tmp_path: Path) -> None:
    """Seen when a gateway that could not listen was tried every 200 ms: ``down --all`` waited for ever."""

    async def scene(world: World) -> None:
        await serving(world)
        delete, late = world.cluster.delete, [ENVOY]

        async def delete_and_be_late(name: str) -> None:
            await delete(name)
            if name == ENVOY.name and late:
                await world.cluster.apply(late.pop())

        world.cluster.delete = delete_and_be_late  # type: ignore[method-assign]
        await asyncio.wait_for(world.views.down(None), 20)
        assert not late
        assert await world.cluster.list() == ()

    play(tmp_path, scene)


def test_a_deleted_model_takes_its_versions_along(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world)
        world.store.delete("Model", "digits")
        await world.settle()
        assert world.versions.list("digits") == ()
        with pytest.raises(NotFound):
            world.store.get("Model", "digits")

    play(tmp_path, scene)


def test_an_edit_during_a_rollout_takes_the_latest(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.service(env={"A": "2"})
        await world.service(env={"A": "3"})
        assert world.get(Revision, "digits-00002").status.phase == "Retired"
        await world.make_ready("digits-00003")
        assert world.weights() == (("digits-00003", 100),)

    play(tmp_path, scene)


@pytest.mark.parametrize("ready_before_restart", [True, False])
def test_a_hub_killed_in_a_rollout_ends_it_once(tmp_path: Path, ready_before_restart: bool) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.service(env={"A": "2"})
        await world.stop()
        if ready_before_restart:
            world.cluster.set_ready("digits-00002")
        await world.start()
        await world.make_ready("digits-00002")
        await world.restart()
        await world.advance(3.0)
        assert world.weights() == (("digits-00002", 100),)
        assert [one.name for one in world.store.list("Revision")[0]] == ["digits-00001", "digits-00002"]
        live = [one for one in world.journal.entries(type="ledger") if one.reason == "Live"]
        assert [one.data["to"] for one in live] == ["digits-00001", "digits-00002"]

    play(tmp_path, scene)
