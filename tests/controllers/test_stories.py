"""Decisions with their numbers in the journal, and the stories told of them: real controllers on fakes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers import Recorder, Stories
from shipway.errors import NotFound
from shipway.kinds import ModelJob, ModelService, Object, Revision, Route
from shipway.models import Snapshots
from shipway.ports import Entry
from tests.controllers.world import World, play


def stories(world: World) -> Stories:
    return Stories(world.store, world.journal, Snapshots(world.layout).files, world.clock)


def texts(world: World, kind: str, name: str = "digits") -> list[str]:
    return [one.text for one in stories(world).why(kind, name).lines]


def journal(world: World, kind: str, name: str = "digits", type_: str = "decision") -> list[Entry]:
    return world.journal.entries(subject=f"{kind}/{name}", type=type_)


def reasons(world: World, kind: str, name: str = "digits") -> list[str]:
    return [one.reason for one in journal(world, kind, name)]


def snapshot(world: World, files: Mapping[str, str]) -> str:
    """A source snapshot in the layout; its digest."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in sorted(files.items()):
            header = tarfile.TarInfo(name)
            header.size = len(text)
            tar.addfile(header, io.BytesIO(text.encode()))
    digest = f"sha256:{sha256(out.getvalue()).hexdigest()}"
    Snapshots(world.layout).store(digest, io.BytesIO(out.getvalue()))
    return digest


def asked(world: World, subject: str, by: str) -> None:
    Recorder(world.journal, world.clock).asked(subject, "Applied", f"created by {by}", by)


async def serving(world: World, **spec: Any) -> None:
    asked(world, "ModelJob/digits", "ada (shipway up)")
    asked(world, "ModelService/digits", "bob (shipway apply)")
    await world.job()
    await world.train()
    await world.service(**spec)
    await world.make_ready("digits-00001")


def test_a_job_tells_what_changed_and_which_files(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        old, new = snapshot(world, {"train.py": "1"}), snapshot(world, {"train.py": "2", "more.py": ""})
        await world.job(params={"lr": 0.1}, source={"digest": old})
        await world.train()
        await world.job(params={"lr": 0.2}, source={"digest": new})
        await world.train(text="other")
        [told] = [one for one in texts(world, "ModelJob") if "lr 0.1 -> 0.2" in one]
        assert told.startswith(
            "trained because params changed: lr 0.1 -> 0.2; source changed (train.py changed, more.py"
        )
        start = [one for one in journal(world, "ModelJob") if one.reason == "CacheMiss"][-1]
        assert start.data["changed"] == {
            "params": {"lr": {"from": 0.1, "to": 0.2}},
            "source": {"from": old, "to": new},
        }
        assert start.data["comparedWith"].startswith("run digits-")

    play(tmp_path, scene)


def test_a_snapshot_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(source={"digest": "sha256:" + "a" * 64})
        await world.train()
        await world.job(source={"digest": snapshot(world, {"a": ""})})
        assert texts(world, "ModelJob")[-1].endswith("source changed (the earlier files are not kept any more)")

    play(tmp_path, scene)


def test_a_job_that_was_deleted_is_compared_with_its_last_version(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(params={"lr": 0.1})
        await world.train()
        await world.views.down([("ModelJob", "digits")])
        await world.job(params={"lr": 0.2})
        start = journal(world, "ModelJob")[-1]
        assert (start.message, start.data["comparedWith"]) == ("params changed: lr 0.1 -> 0.2", "digits:1")

    play(tmp_path, scene)


def test_a_reused_version_names_its_run(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(params={"C": 1})
        await world.train()
        await world.job(params={"C": 2})
        await world.train(text="other")
        await world.job(params={"C": 1})
        reuse = journal(world, "ModelJob")[-1]
        assert (reuse.reason, reuse.data["version"], reuse.data["generation"]) == ("CacheHit", 1, 3)
        assert reuse.data["run"].endswith("-1") and reuse.data["fingerprint"].startswith("sha256:")

    play(tmp_path, scene)


def test_every_attempt_leaves_its_end_in_the_journal(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(retries=1)
        world.cluster.finish(world.run_name(), 3, tail="Traceback one")
        await world.settle()
        await world.advance(1.0)
        world.cluster.finish(world.run_name(), 4, tail="Traceback two")
        await world.settle()
        assert reasons(world, "ModelJob") == ["CacheMiss", "BackOff", "Retry", "Error"]
        waits, ended = (journal(world, "ModelJob")[place].data for place in (1, 3))
        assert (waits["attempt"], waits["retries"], waits["delay"], waits["exitCode"]) == (1, 1, 1.0, 3)
        assert (waits["tail"], ended["tail"], ended["exitCode"]) == ("Traceback one", "Traceback two", 4)
        told = stories(world).why("ModelJob", "digits")
        assert [one.command for one in told.next] == ["shipway logs job/digits"]

    play(tmp_path, scene)


def test_the_gate_gives_its_numbers_once(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        gate = {"metric": "accuracy", "min": 0.9, "notWorseThan": "champion"}
        await world.job(evaluate=gate)
        await world.train(accuracy=0.95)
        await world.job(evaluate=gate, params={"C": 2})
        await world.train(accuracy=0.92, text="worse")
        await world.restart()
        passed, failed = journal(world, "Model")
        assert (passed.reason, passed.data["value"], passed.data["min"], passed.data["rival"]) == (
            "GatePassed",
            0.95,
            0.9,
            None,
        )
        assert (failed.reason, failed.data["rival"], failed.data["rivalValue"]) == ("GateFailed", "digits:1", 0.95)
        assert (failed.data["job"], failed.data["version"], failed.data["goal"]) == ("digits", 2, "maximize")
        told = stories(world).why("ModelJob", "digits")
        assert told.lines[-1].text == "the gate held digits:2 back: accuracy 0.92 is worse than 0.95 of digits:1"
        assert told.next[0].command == "shipway models show digits"

    play(tmp_path, scene)


def test_a_rollout_tells_its_steps_with_numbers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, replicas=2)
        await world.job(params={"C": 2})
        await world.train(text="other")
        await world.advance(3.0)
        await world.make_ready("digits-00002")
        await world.advance(2.0)
        steps = [(one.reason, one.data["revision"]) for one in journal(world, "ModelService") if "to" in one.data]
        assert steps == [
            ("New", "digits-00001"),
            ("AllReplicasReady", "digits-00001"),
            ("New", "digits-00002"),
            ("AllReplicasReady", "digits-00002"),
            ("TrafficMoved", "digits-00001"),
            ("Drained", "digits-00001"),
        ]
        ready = next(
            one
            for one in journal(world, "ModelService")
            if one.data.get("revision") == "digits-00002" and one.reason == "AllReplicasReady"
        ).data
        assert (ready["from"], ready["to"], ready["ready"], ready["wanted"], ready["seconds"]) == (
            "Starting",
            "Ready",
            2,
            2,
            3.0,
        )
        assert ready["backends"] == {"before": {"digits-00001": 100}, "after": {"digits-00002": 100}}
        routed = journal(world, "Route")[-1].data
        assert (routed["before"], routed["after"], routed["replicas"]) == (
            {"digits-00001": 100},
            {"digits-00002": 100},
            {"digits-00002": 2},
        )
        made = [one for one in journal(world, "ModelService") if one.reason == "RevisionMade"][-1]
        assert made.data["changed"] == {"model": {"from": "digits:1", "to": "digits:2"}}

    play(tmp_path, scene)


def test_a_hub_that_dies_after_a_decision_writes_it_once_and_loses_none(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service(command=["python", "server.py"])
        put = world.store.put

        def dies(obj: Object) -> Object:
            if isinstance(obj, Revision) and obj.status.phase == "Ready":
                raise Killed
            return put(obj)

        world.store.put = dies  # type: ignore[method-assign]
        await world.make_ready("digits-00001")
        world.store.put = put  # type: ignore[method-assign]
        await world.advance(5.0)
        await world.restart()
        assert world.get(Revision, "digits-00001").status.phase == "Ready"
        assert reasons(world, "ModelService").count("AllReplicasReady") == 1

    play(tmp_path, scene)


class Killed(Exception):
    """Stands for kill -9."""


def test_a_restart_of_a_replica_is_an_event_once_also_for_the_next_hub(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world, replicas=2)
        for index in (0, 1):
            ended = replace(world.cluster.replica("digits-00001", index), restarts=1, exit_code=3, reason="Error")
            world.cluster.set_replica("digits-00001", ended)
        await world.settle()
        await world.restart()
        world.cluster.set_replica("digits-00001", replace(world.cluster.replica("digits-00001"), reason=""))
        await world.settle()
        events = [one for one in journal(world, "ModelService", type_="event") if one.reason == "ReplicaRestarted"]
        assert [(one.data["replica"], one.data["restarts"], one.data["exitCode"]) for one in events] == [
            (0, 1, 3),
            (1, 1, 3),
        ]
        assert (
            texts(world, "ModelService")[-1] == "replica 1 of digits-00001 was started again (restart 1): exit code 3"
        )

    play(tmp_path, scene)


def test_history_says_where_when_by_whom_and_why(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.job(params={"C": 2})
        await world.train(text="other")
        await world.advance(60)
        await world.make_ready("digits-00002")
        await world.advance(60)
        Recorder(world.journal, world.clock).asked("ModelService/digits", "DeleteAsked", "", "carl (shipway down)")
        await world.views.down([("ModelService", "digits")])
        told = stories(world).history("digits")
        first, second = (one for one in told.tenures if one.role == "live")
        champions = [(one.version, one.since, one.until, one.by) for one in told.tenures if one.role == "champion"]
        assert [(number, by) for number, _, _, by in champions] == [(1, "ada (shipway up)"), (2, "ada (shipway up)")]
        assert champions[0][2] == champions[1][1] and champions[1][2] is None
        held = stories(world).history("digits", first.since)
        assert {(one.role, one.version) for one in held.tenures} == {("champion", 2), ("live", 1)}
        assert (first.version, first.revision, first.by, first.why) == (
            1,
            "digits-00001",
            "bob (shipway apply)",
            "the first revision with traffic",
        )
        assert (second.version, second.by, second.why) == (2, "ada (shipway up)", "digits:2 became champion")
        assert first.until == second.since
        assert (second.ended_by, second.ended_why) == ("carl (shipway down)", "the service was deleted")
        with pytest.raises(NotFound):
            stories(world).history("nobody")

    play(tmp_path, scene)


def test_a_service_that_is_gone_keeps_its_story(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.views.down([("ModelService", "digits")])
        told = stories(world).why("ModelService", "digits")
        assert not told.exists and not told.now
        assert any(one.reason == "Live" for one in told.lines) and any(one.reason == "Deleted" for one in told.lines)
        assert any(one.subject == "Model/digits" for one in told.lines), "what its model did"
        with pytest.raises(NotFound):
            stories(world).why("ModelService", "nobody")

    play(tmp_path, scene)


def test_since_leaves_out_what_was_before(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.advance(3600)
        told = stories(world).why("ModelService", "digits", world.clock.now() - timedelta(minutes=5))
        assert told.exists and told.lines == () and told.now

    play(tmp_path, scene)


@pytest.mark.parametrize("kind", ["ModelJob", "Model", "ModelService", "Route", "Revision"])
def test_every_kind_has_a_story(tmp_path: Path, kind: str) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        name = "digits-00001" if kind == "Revision" else "digits"
        told = stories(world).why(kind, name)
        assert told.exists and told.lines and told.now

    play(tmp_path, scene)


def test_a_blocked_service_says_why_once(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service()
        await world.restart()
        assert reasons(world, "ModelService") == ["ModelNotAvailable"]
        told = stories(world).why("ModelService", "digits")
        assert told.next[0].command == "shipway models"

    play(tmp_path, scene)


def test_all_objects_have_whole_conditions_from_the_start(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service()
        whole(world.get(ModelService, "digits"), "RolledOut", "Ready")
        await world.job()
        whole(world.get(ModelJob, "digits"), "Complete")
        await world.train()
        whole(world.model_now(), "Ready")
        whole(world.get(Revision, "digits-00001"), "Ready")
        await world.make_ready("digits-00001")
        whole(world.get(Route, "digits"), "Programmed")
        whole(world.get(ModelService, "digits"), "RolledOut", "Ready")

    play(tmp_path, scene)


def whole(obj: Object, *types: str) -> None:
    for type_ in types:
        found = obj.status.condition(type_)
        assert found is not None, f"{obj.kind} has no condition {type_}"
        assert found.reason and found.message and found.last_transition_time is not None
        assert found.observed_generation == obj.metadata.generation
