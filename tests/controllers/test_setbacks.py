"""A reconcile that fails again and again shows on its object, and no longer when it succeeds."""

from __future__ import annotations

from pathlib import Path

from shipway.controllers import Recorder, Setbacks
from shipway.errors import EnvironmentFault
from shipway.kinds import ModelJob, ModelJobSpec, Object, ObjectMeta
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.testing.store import FakeStore
from tests.controllers.world import World, play

KEY = ("ModelJob", "digits")


def _made() -> tuple[Setbacks, FakeStore, FakeJournal]:
    clock = FakeClock()
    store, journal = FakeStore(clock.now), FakeJournal()
    spec = ModelJobSpec.model_validate({"command": ["true"]})
    store.put(ModelJob(metadata=ObjectMeta(name="digits"), spec=spec))
    return Setbacks(store, Recorder(journal, clock), clock), store, journal


def _told(obj: Object) -> tuple[str, str, str] | None:
    found = obj.status.condition("Reconciled")
    return (found.status, found.reason, found.message) if found else None


def test_two_failures_in_a_row_are_not_told_three_are() -> None:
    setbacks, store, journal = _made()
    full = EnvironmentFault("the disk is full", next_step="make room")
    for failures in (1, 2):
        setbacks.failed(KEY, full, failures)
    assert _told(store.get(*KEY)) is None
    for failures in (3, 4, 5):
        setbacks.failed(KEY, full, failures)
    job = store.get(*KEY)
    assert _told(job) == ("False", "ReconcileFailed", "the disk is full")
    assert job.status.observed_generation == 0, "nothing of the spec was answered"
    assert [(one.subject, one.reason) for one in journal.entries()] == [("ModelJob/digits", "ReconcileFailed")]


def test_a_bug_is_told_with_its_type_and_success_ends_it() -> None:
    setbacks, store, journal = _made()
    setbacks.failed(KEY, KeyError("versions"), 3)
    assert _told(store.get(*KEY)) == ("False", "ReconcileFailed", "KeyError: 'versions'")
    for _ in range(2):
        setbacks.succeeded(KEY)
    assert _told(store.get(*KEY)) == ("True", "Reconciled", "the controller gets on with it again")
    assert [one.reason for one in journal.entries()] == ["ReconcileFailed", "Reconciled"]


def test_keys_without_an_object_and_objects_that_are_gone_are_nobodys() -> None:
    setbacks, store, journal = _made()
    store.delete(*KEY)
    for key in (KEY, ("Gateway", "gateway")):
        setbacks.failed(key, ValueError("x"), 6)
        setbacks.succeeded(key)
    assert [one.subject for one in journal.entries()] == ["ModelJob/digits"]


def test_an_error_that_reads_differently_each_time_does_not_undo_the_back_off(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        tries: list[str] = []

        async def broken(name: str) -> None:
            tries.append(name)
            raise OSError(f"cannot write /tmp/{len(tries)}")

        world.cluster.observe = broken  # type: ignore[method-assign]
        await world.apply(ModelJob, "digits", ModelJobSpec(command=("train",)))
        await world.advance(60)
        assert len(tries) < 20, "each write of the condition woke the job, and each try wrote another one"

    play(tmp_path, scene)


def test_a_job_whose_reconcile_fails_says_so_and_goes_on_when_the_cause_is_gone(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        observe = world.cluster.observe

        async def broken(name: str) -> None:
            raise OSError("the folder is gone")

        world.cluster.observe = broken  # type: ignore[method-assign]
        await world.apply(ModelJob, "digits", ModelJobSpec(command=("train",)))
        await world.advance(5)
        job = world.store.get(*KEY)
        assert _told(job) == ("False", "ReconcileFailed", "OSError: the folder is gone")
        world.cluster.observe = observe  # type: ignore[method-assign]
        await world.advance(60)
        told = _told(world.store.get(*KEY))
        assert told is not None
        assert told[0] == "True"

    play(tmp_path, scene)
