"""Jobs from a spec to a version, and what a killed hub leaves to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import NotFound
from shipway.kinds import RETRAIN, ModelJob
from tests.controllers.world import World, play


def test_a_run_becomes_a_version_and_the_champion(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        job = await world.job()
        assert job.status.phase == "Running"
        await world.train(accuracy=0.95)
        job = world.get(ModelJob, "digits")
        assert (job.status.phase, job.status.version, job.status.metrics) == (
            "Succeeded",
            "digits:1",
            {"accuracy": 0.95},
        )
        model = world.model_now()
        assert model.status.aliases == {"latest": 1, "champion": 1}
        lineage = world.versions.lineage("digits", 1)
        assert (lineage.job, lineage.metrics, lineage.gate) == ("digits", {"accuracy": 0.95}, "none")
        assert lineage.lock == ("fake==1.0",)
        assert "lock" not in lineage.components
        ledger = world.journal.entries(type="ledger")
        assert [one.reason for one in ledger] == ["ChampionMoved"]

    play(tmp_path, scene)


def test_the_same_spec_runs_once_and_a_reverted_one_is_reused(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(params={"C": 1})
        await world.train()
        await world.job(params={"C": 2})
        await world.train(text="other")
        assert world.model_now().status.aliases["champion"] == 2
        job = await world.job(params={"C": 1})
        assert (job.status.cached, job.status.version) == (True, "digits:1")
        assert world.reason(job, "Complete") == "CacheHit"
        assert world.model_now().status.aliases == {"latest": 2, "champion": 1}
        assert len([one for one in world.cluster.applied if one.mode == "job"]) == 2

    play(tmp_path, scene)


def test_after_down_the_version_is_still_known(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train()
        await world.views.down([("ModelJob", "digits")])
        with pytest.raises(NotFound):
            world.store.get("ModelJob", "digits")
        job = await world.job()
        assert (job.status.cached, job.status.version) == (True, "digits:1")

    play(tmp_path, scene)


def test_each_job_of_one_name_tells_its_own_decisions(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(evaluate={"metric": "accuracy", "min": 0.5})
        await world.train()
        for hits in (1, 2):  # generation 1 each time
            await world.views.down([("ModelJob", "digits")])
            await world.job(evaluate={"metric": "accuracy", "min": 0.5})
            told = [one.reason for one in world.journal.entries(type="decision")]
            assert (told.count("CacheHit"), told.count("GatePassed")) == (hits, hits + 1)

    play(tmp_path, scene)


def test_retrain_makes_a_new_version(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        job = await world.job()
        await world.train()
        await world.apply(ModelJob, "digits", job.spec, annotations={RETRAIN: "t1"})
        await world.train(text="again")
        assert world.get(ModelJob, "digits").status.version == "digits:2"

    play(tmp_path, scene)


def test_a_failed_run_keeps_its_tail(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        world.cluster.finish(world.run_name(), 3, tail="Traceback\nValueError: no")
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert (job.status.phase, job.status.tail) == ("Failed", "Traceback\nValueError: no")
        assert job.status.run is not None and job.status.run.exit_code == 3

    play(tmp_path, scene)


def test_retries_start_new_attempts_after_a_back_off(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(retries=1)
        first = world.run_name()
        world.cluster.finish(first, 1)
        await world.settle()
        assert world.reason(world.get(ModelJob, "digits"), "Complete") == "BackOff"
        await world.advance(1.0)
        second = world.run_name()
        assert second != first and second.endswith("-1-2")
        await world.train()
        assert world.get(ModelJob, "digits").status.version == "digits:1"

    play(tmp_path, scene)


def test_a_run_without_output_fails(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        empty = tmp_path / "empty"
        empty.mkdir()
        world.cluster.finish(world.run_name(), output=str(empty))
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert (job.status.phase, world.reason(job, "Complete")) == ("Failed", "NoOutput")

    play(tmp_path, scene)


@pytest.mark.parametrize("model, phase", [("digits", "Failed"), (None, "Succeeded")])
def test_a_run_of_which_no_output_came_back_packs_no_other_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str | None, phase: str
) -> None:
    """On a cluster nothing is pushed of an empty folder: what came back is named by "", which is no path."""

    async def scene(world: World) -> None:
        (tmp_path / "of-the-hub").write_text("secret")
        monkeypatch.chdir(tmp_path)
        await world.job(model=model)
        world.cluster.finish(world.run_name(), output="")
        await world.settle()
        job = world.get(ModelJob, "digits")
        reason = "Succeeded" if model is None else "NoOutput"
        assert (job.status.phase, world.reason(job, "Complete")) == (phase, reason)

    play(tmp_path, scene)


def test_an_output_that_cannot_be_packed_is_not_called_empty(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        output = Path(world.output())
        (output / "secret").symlink_to("/etc/hostname")
        world.cluster.finish(world.run_name(), output=str(output))
        await world.settle()
        assert world.reason(world.get(ModelJob, "digits"), "Complete") == "OutputRefused"

    play(tmp_path, scene)


def test_a_job_without_model_just_ends(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(model=None)
        world.cluster.finish(world.run_name(), output=str(tmp_path))
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert (job.status.phase, job.status.version) == ("Succeeded", None)
        job = await world.job(model=None, retries=2)
        assert job.status.cached and world.reason(job, "Complete") == "CacheHit"

    play(tmp_path, scene)


def test_the_gate_holds_a_version_back_and_says_why(tmp_path: Path) -> None:
    gate = {"metric": "accuracy", "min": 0.9, "notWorseThan": "champion"}

    async def scene(world: World) -> None:
        await world.job(evaluate=gate)
        await world.train(accuracy=0.95)
        await world.job(evaluate=gate, params={"C": 2})
        await world.train(accuracy=0.93, text="worse")
        job = world.get(ModelJob, "digits")
        assert (job.status.version, job.status.promoted) == ("digits:2", False)
        condition = job.status.condition("Complete")
        assert condition is not None and condition.reason == "GateFailed"
        assert condition.message == "digits:2 is kept and not rolled out: accuracy 0.93 is worse than 0.95 of digits:1"
        assert world.model_now().status.aliases == {"latest": 2, "champion": 1}
        # A gentler gate is judged on the version that is there: nothing is trained again.
        job = await world.job(evaluate={"metric": "accuracy", "min": 0.9}, params={"C": 2})
        assert (job.status.promoted, job.status.cached) == (True, True)
        assert world.model_now().status.aliases["champion"] == 2

    play(tmp_path, scene)


def test_a_changed_spec_stops_the_run_under_way(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        first = world.run_name()
        await world.job(params={"C": 2})
        assert first in world.cluster.deleted and world.run_name() != first

    play(tmp_path, scene)


@pytest.mark.parametrize("moment", ["started", "running", "finished"])
def test_a_killed_hub_changes_nothing(tmp_path: Path, moment: str) -> None:
    async def scene(world: World) -> None:
        await world.job()
        if moment == "started":
            await world.restart()
        name = world.run_name()
        world.cluster.start(name)
        world.cluster.write(name, '\x1eshipway-metrics {"metrics": {"loss": 1}, "step": 1}')
        await world.settle()
        if moment == "running":
            await world.restart()
        world.cluster.write(name, '\x1eshipway-metrics {"metrics": {"loss": 0.5}, "step": 2}')
        if moment == "finished":
            await world.stop()
        world.cluster.finish(name, output=world.output())
        if moment == "finished":
            await world.start()
        await world.settle()
        job = world.get(ModelJob, "digits")
        assert (job.status.version, job.status.metrics) == ("digits:1", {"loss": 0.5})
        assert [one.value for one in world.journal.points("ModelJob/digits")] == [1.0, 0.5]
        assert len(world.versions.list("digits")) == 1
        assert len({one.name for one in world.cluster.applied if one.mode == "job"}) == 1

    play(tmp_path, scene)


def test_a_hub_killed_between_packing_and_its_status_packs_nothing_twice(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        before = await world.job()
        await world.train()
        # As if the last status writes had been lost: the run is still "Running" for the next hub.
        lost = world.get(ModelJob, "digits").model_copy(update={"status": before.status})
        world.store.put(lost)
        await world.restart()
        assert world.get(ModelJob, "digits").status.version == "digits:1"
        assert len(world.versions.list("digits")) == 1

    play(tmp_path, scene)


def test_workloads_of_a_job_that_is_gone_are_swept(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        name = world.run_name()
        await world.stop()
        job = world.get(ModelJob, "digits")
        world.store.put(job.model_copy(update={"metadata": job.metadata.model_copy(update={"finalizers": ()})}))
        world.store.delete("ModelJob", "digits")
        await world.start()
        assert name in world.cluster.deleted

    play(tmp_path, scene)
