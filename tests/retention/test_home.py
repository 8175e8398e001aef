"""A whole hub on fakes runs for a long time, and what it remembers stays bounded."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from shipway.controllers import Recorder, RetentionController
from shipway.controllers.retention import SUBJECT
from shipway.controllers.updates import all_of
from shipway.kinds import RETRAIN, ModelJob, Revision
from shipway.ports import Entry, MetricPoint
from shipway.retention import Retention
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from tests.controllers.world import World, play

RULES = Retention()
DAY = 86400.0


async def retrain(world: World, number: int) -> str:
    """One more run of the job, to its end; its workload."""
    job = world.get(ModelJob, "digits")
    await world.apply(ModelJob, "digits", job.spec, annotations={RETRAIN: str(number)})
    await world.train(text=f"weights {number}")
    return world.run_name()


def forgotten(world: World, subject: str) -> list[Entry]:
    found = world.journal.entries(subject=subject, limit=10_000)
    return [one for one in found if one.reason == "Forgotten"]


@pytest.mark.slow
def test_many_runs_leave_so_many_folders(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train()
        for number in range(30):
            latest = await retrain(world, number)
        names = [one.name for one in await world.cluster.list() if one.name != "gateway"]
        assert len(names) == RULES.runs.most + 1  # they are young; the latest was no surplus yet when it began
        assert latest in names, "the run that the status refers to"
        await world.advance(8 * DAY)
        await retrain(world, 30)
        names = [one.name for one in await world.cluster.list() if one.name != "gateway"]
        assert len(names) == RULES.runs.newest + 1
        told = forgotten(world, "ModelJob/digits")
        assert told[-1].data["ended"] == RULES.runs.most + 1
        assert len(told[-1].data["removed"]) == 11
        assert all(name in told[-1].message for name in told[-1].data["removed"])

    play(tmp_path, scene)


def test_a_run_under_way_is_stopped_when_the_spec_changes_and_no_ended_one(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train()
        ended = world.run_name()
        await world.job(params={"epochs": 2})
        under_way = world.run_name()
        await world.job(params={"epochs": 3})
        names = {one.name for one in await world.cluster.list()}
        assert ended in names and world.run_name() in names and under_way not in names

    play(tmp_path, scene)


def test_a_deleted_job_takes_all_of_its_runs_along(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        await world.train()
        await retrain(world, 1)
        world.store.delete("ModelJob", "digits")
        await world.settle()
        assert [one.name for one in await world.cluster.list() if one.name != "gateway"] == []

    play(tmp_path, scene)


@pytest.mark.slow
def test_revisions_stay_bounded_and_the_one_with_traffic_is_kept(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service(command=("./server", "0"), port=8080)
        await world.make_ready("digits-00001")
        for number in range(1, 15):
            await world.service(command=("./server", str(number)), port=8080)
            await world.make_ready(f"digits-{number + 1:05d}")
            await world.advance(120)  # drained
        assert len(all_of(world.store, Revision)) == 15, "all are younger than a day"
        await world.advance(2 * DAY)
        await world.service(command=("./server", "15"), port=8080)
        await world.make_ready("digits-00016")
        await world.advance(120)
        kept = all_of(world.store, Revision)
        assert len(kept) == RULES.revisions.newest + 1
        assert world.service_now().status.ready_revision == "digits-00016"
        gone = [name for one in forgotten(world, "ModelService/digits") for name in one.data["removed"]]
        assert gone == [f"digits-{number:05d}" for number in range(1, 6)]

    play(tmp_path, scene)


class Rows:
    """A journal in memory with what a retention controller needs; ``removed`` is what uv's folder gives up."""

    def __init__(self, **rules: Any) -> None:
        self.clock = FakeClock()
        self.journal = FakeJournal()
        self.idle: list[float] = []
        self.removed: list[str] = []
        recorder = Recorder(self.journal, self.clock)
        self.controller = RetentionController(self.journal, self.clock, recorder, Retention(**rules), self.prune)

    def prune(self, now: datetime, idle: float) -> list[str]:
        self.idle.append(idle)
        return self.removed

    def look(self) -> datetime | None:
        return asyncio.run(self.controller.reconcile("home"))

    def write(self, type_: Literal["decision", "event", "ledger"], count: int) -> None:
        for number in range(count):
            self.journal.append(Entry(type_, "ModelJob/digits", "Reason", str(number), self.clock.now()))


def test_an_old_journal_forgets_all_but_its_ledger_and_says_how_much() -> None:
    rows = Rows()
    rows.write("ledger", 2)
    rows.write("decision", 3)
    rows.journal.record([MetricPoint("ModelJob/digits", "1", "loss", 0.5, rows.clock.now())])
    rows.clock.jump(31 * DAY)
    rows.write("event", 1)
    assert rows.look() == rows.clock.now() + timedelta(hours=1)
    *kept, told = rows.journal.entries()
    assert [one.type for one in kept] == ["ledger", "ledger", "event"]
    assert (told.subject, told.reason, told.data["rows"]) == (SUBJECT, "Forgotten", 4)
    assert told.message == "4 lines of the journal, older than 30 days or beyond the newest 100000"


def test_a_busy_journal_is_bounded_by_number() -> None:
    rows = Rows(journal_rows=10)
    for _ in range(5):
        rows.write("decision", 20)
        rows.look()
        rows.clock.jump(3600)
    assert len(rows.journal.entries()) == 11, "and the line that says so"


def test_environments_that_nothing_uses_go_and_are_named() -> None:
    rows = Rows()
    rows.look()
    assert rows.journal.entries() == [], "nothing to tell"
    rows.removed = ["abc", "def"]
    rows.look()
    assert rows.idle == [30 * DAY] * 2
    (told,) = rows.journal.entries()
    assert told.message == "2 Python environments, unused for 30 days: abc, def"


def test_a_job_that_logs_more_than_the_journal_keeps_has_all_of_its_metrics(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job()
        name = world.run_name()
        world.cluster.start(name)
        metric(world, name, rows=4711)
        for step in range(30):
            metric(world, name, loss=1.0 / (step + 1))
        await world.settle()
        world.journal.prune(before=world.clock.now(), keep=10)
        await world.restart()
        metric(world, name, loss=0.01, accuracy=0.99)
        world.cluster.finish(name, output=world.output())
        await world.settle()
        points = world.journal.points("ModelJob/digits")
        assert [one.value for one in points] == [*(1.0 / (step + 1) for step in range(20, 30)), 0.01, 0.99]
        assert world.get(ModelJob, "digits").status.metrics == {"rows": 4711, "loss": 0.01, "accuracy": 0.99}

    play(tmp_path, scene)


def metric(world: World, workload: str, **values: float) -> None:
    world.cluster.write(workload, f"\x1eshipway-metrics {json.dumps({'metrics': values})}")
