"""Every row of a rollout: revisions seen, transitions, replicas and backends decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipway.bundle import Observed, Replica
from shipway.kinds import Backend, ObjectMeta, Revision, RevisionSpec, RevisionTemplate
from shipway.rollout import Outcome, RevisionSeen, Step, Wanted, step

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
ALWAYS = datetime.min.replace(tzinfo=UTC)
WANTED = Wanted("s-2", replicas=2, progress_deadline=60.0, drain=30.0)
OLD = (Backend(revision="s-1", replicas=2),)
NEW = (Backend(revision="s-2", replicas=2),)


def revision(name: str) -> Revision:
    spec = RevisionSpec(service="s", number=int(name[-1]), template=RevisionTemplate(), hash=DIGEST)
    return Revision(metadata=ObjectMeta(name=name), spec=spec)


def observed(*phases: Any, phase: Any = "Running", **rest: Any) -> Observed:
    replicas = tuple(one if isinstance(one, Replica) else Replica(index, one) for index, one in enumerate(phases))
    return Observed("w", DIGEST, phase, replicas, **rest)


def starting(name: str = "s-2", retry: str = "") -> Revision:
    return revision(name).mark_starting(retry, NOW)


def ready(name: str) -> Revision:
    return starting(name).mark_ready(NOW)


def decide(
    *seen: RevisionSeen,
    asked: Any = (),
    live: Any = (),
    now: datetime = NOW,
    wanted: Wanted = WANTED,
    steady: datetime = ALWAYS,
) -> Step:
    return step(wanted, seen, asked, live, now, steady)


def test_a_new_revision_is_started_beside_the_old_one() -> None:
    made = decide(
        RevisionSeen(ready("s-1"), observed("Ready", "Ready")), RevisionSeen(revision("s-2")), asked=OLD, live=OLD
    )
    assert made.transitions == {"s-2": Outcome("Starting", "New")}
    assert made.replicas == {"s-1": 2, "s-2": 2}
    assert made.backends == OLD


def test_traffic_waits_for_all_replicas_and_wakes_at_the_deadline() -> None:
    made = decide(
        RevisionSeen(ready("s-1"), observed("Ready", "Ready")),
        RevisionSeen(starting(), observed("Ready", "Starting")),
        asked=OLD,
        live=OLD,
    )
    assert (made.transitions, made.backends) == ({}, OLD)
    assert made.wake_at == NOW + timedelta(seconds=60)


def test_traffic_moves_when_all_replicas_are_ready() -> None:
    made = decide(
        RevisionSeen(ready("s-1"), observed("Ready", "Ready")),
        RevisionSeen(starting(), observed("Ready", "Ready")),
        asked=OLD,
        live=OLD,
    )
    assert made.transitions["s-2"].phase == "Ready"
    assert made.backends == NEW
    assert made.replicas == {"s-1": 2, "s-2": 2}


def test_the_old_one_is_drained_when_the_gateway_has_confirmed() -> None:
    seen = (
        RevisionSeen(ready("s-1"), observed("Ready", "Ready")),
        RevisionSeen(ready("s-2"), observed("Ready", "Ready")),
    )
    assert decide(*seen, asked=NEW, live=OLD).transitions == {}
    made = decide(*seen, asked=NEW, live=NEW)
    assert made.transitions == {"s-1": Outcome("Draining", "TrafficMoved", until=NOW + timedelta(seconds=30))}
    assert made.replicas == {"s-1": 2, "s-2": 2}
    assert made.wake_at == NOW + timedelta(seconds=0.25)


@pytest.mark.parametrize(
    ("after", "active", "retired"),
    [(0.5, 0, False), (1.0, 0, True), (29.0, 1, False), (29.0, None, False), (30.0, 1, True)],
)
def test_draining_ends_when_idle_or_too_long(after: float, active: int | None, retired: bool) -> None:
    old = ready("s-1").mark_draining(NOW + timedelta(seconds=30), NOW)
    made = decide(
        RevisionSeen(old, observed("Ready"), active),
        RevisionSeen(ready("s-2"), observed("Ready", "Ready")),
        asked=NEW,
        live=NEW,
        now=NOW + timedelta(seconds=after),
    )
    assert (made.transitions == {"s-1": Outcome("Retired", "Drained")}) is retired
    assert made.replicas["s-1"] == (0 if retired else 1)


def test_a_draining_revision_without_a_time_waits() -> None:
    old = ready("s-1").mark_draining(NOW, NOW)
    endless = old.model_copy(update={"status": old.status.model_copy(update={"drain_until": None})})
    assert decide(RevisionSeen(endless), RevisionSeen(ready("s-2")), live=NEW).transitions == {}


def test_draining_without_a_condition_counts_as_long_ago() -> None:
    old = ready("s-1").mark_draining(NOW + timedelta(seconds=30), NOW)
    bare = old.model_copy(update={"status": old.status.model_copy(update={"conditions": ()})})
    assert "s-1" in decide(RevisionSeen(bare, None, 0), RevisionSeen(ready("s-2")), live=NEW).transitions


@pytest.mark.parametrize(
    ("seen", "reason", "message"),
    [
        (observed(phase="Failed", reason="EnvironmentFailed", message="no numpy"), "EnvironmentFailed", "no numpy"),
        (observed(phase="Failed", message="?"), "Error", "?"),
        (observed(Replica(0, "Exited", exit_code=3)), "Error", "replica 0 ended with exit code 3"),
        (observed(Replica(0, "Exited", exit_code=3, message="truncated")), "Error", "truncated"),
        (observed(Replica(0, "BackOff", restarts=3, signal=11)), "Error", "replica 0 was ended by signal 11"),
        (
            observed(Replica(0, "Starting", restarts=3, reason="LivenessProbeFailed", message="?")),
            "LivenessProbeFailed",
            "?",
        ),
    ],
)
def test_a_revision_that_cannot_start_is_given_up(seen: Observed, reason: str, message: str) -> None:
    made = decide(RevisionSeen(ready("s-1"), observed("Ready")), RevisionSeen(starting(), seen), asked=OLD, live=OLD)
    assert made.transitions["s-2"].phase == "Failed"
    assert (made.transitions["s-2"].reason, made.transitions["s-2"].message) == (reason, message)
    assert made.backends == OLD
    assert made.replicas["s-2"] == 0


def test_some_restarts_are_not_the_end() -> None:
    assert decide(RevisionSeen(starting(), observed(Replica(0, "Exited"), phase="Stopping"))).transitions == {}
    assert decide(RevisionSeen(starting(), observed(Replica(0, "BackOff", restarts=2)))).transitions == {}
    assert decide(RevisionSeen(starting(), observed(Replica(0, "Ready", restarts=9)))).transitions == {}


@pytest.mark.parametrize(("seen", "ready_now"), [(None, 0), (observed("Ready", "Starting", tail="..", log="f"), 1)])
def test_the_deadline_ends_waiting(seen: Observed | None, ready_now: int) -> None:
    late = NOW + timedelta(seconds=60)
    made = decide(RevisionSeen(starting(), seen), now=late)
    assert made.transitions["s-2"] == Outcome(
        "Failed",
        "ProgressDeadlineExceeded",
        f"{ready_now} of 2 replicas were ready after 60 s",
        seen.tail if seen else "",
        seen.log if seen else "",
    )


def test_the_deadline_counts_from_the_process_not_from_building_its_environment() -> None:
    hour = NOW + timedelta(hours=1)
    assert decide(RevisionSeen(starting(), observed(phase="Preparing")), now=hour).transitions == {}
    assert decide(RevisionSeen(starting(), observed(phase="Preparing")), now=hour).wake_at is None
    just_started = observed("Starting", started_at=hour)
    assert decide(RevisionSeen(starting(), just_started), now=hour).transitions == {}
    assert decide(RevisionSeen(starting(), just_started), now=hour).wake_at == hour + timedelta(seconds=60)


def test_a_way_back_is_not_judged_by_the_age_of_the_old_process() -> None:
    hour = NOW + timedelta(hours=1)
    back = revision("s-2").mark_starting("", hour)
    ending = observed("Stopping", phase="Stopping", started_at=NOW)
    left_running = observed("Ready", "Starting", started_at=NOW)
    for seen in (ending, left_running):
        assert decide(RevisionSeen(back, seen), now=hour + timedelta(seconds=59)).transitions == {}
    assert decide(RevisionSeen(back, ending), now=hour + timedelta(hours=1)).transitions == {}
    assert "s-2" in decide(RevisionSeen(back, left_running), now=hour + timedelta(seconds=60)).transitions


def test_an_idle_revision_is_drained_also_when_the_wanted_one_failed() -> None:
    failed = starting("s-3").mark_failed("Error", "", "", "", NOW)
    wanted = Wanted("s-3", 2, 60.0, 30.0)
    both = observed("Ready", "Ready")
    seen = (RevisionSeen(ready("s-1"), both), RevisionSeen(ready("s-2"), both), RevisionSeen(failed))
    made = decide(*seen, asked=NEW, live=NEW, wanted=wanted)
    assert set(made.transitions) == {"s-1"} and made.transitions["s-1"].phase == "Draining"
    assert made.backends == NEW


def test_a_failed_revision_starts_again_only_when_asked() -> None:
    failed = starting().mark_failed("Error", "", "", "", NOW)
    assert decide(RevisionSeen(failed)).transitions == {}
    asked = Wanted("s-2", 2, 60.0, 30.0, retry="t1")
    assert decide(RevisionSeen(failed), wanted=asked).transitions == {"s-2": Outcome("Starting", "Retry")}


@pytest.mark.parametrize("phase", ["draining", "retired"])
def test_a_revision_that_is_wanted_again_starts(phase: str) -> None:
    old = ready("s-2")
    back = old.mark_draining(NOW, NOW) if phase == "draining" else old.mark_retired(NOW)
    assert decide(RevisionSeen(back)).transitions == {"s-2": Outcome("Starting", "Wanted")}


def test_a_superseded_revision_that_never_was_ready_is_retired() -> None:
    made = decide(RevisionSeen(starting("s-1"), observed("Starting")), RevisionSeen(starting(), None))
    assert made.transitions["s-1"] == Outcome("Retired", "Superseded", "s-2 is wanted now")
    assert made.replicas["s-1"] == 0


def test_scaling_up_starts_replicas_at_once() -> None:
    two = (Backend(revision="s-2", replicas=2),)
    more = Wanted("s-2", 4, 60.0, 30.0)
    made = decide(RevisionSeen(ready("s-2"), observed("Ready", "Ready")), asked=two, live=two, wanted=more)
    assert (made.replicas, made.backends) == ({"s-2": 4}, (Backend(revision="s-2", replicas=4),))


def test_scaling_down_stops_replicas_only_after_the_gateway_left_them() -> None:
    four, one = (Backend(revision="s-2", replicas=4),), (Backend(revision="s-2", replicas=1),)
    seen = RevisionSeen(ready("s-2"), observed("Ready", "Ready", "Ready", "Ready"))
    less = Wanted("s-2", 1, 60.0, 30.0)
    asked = decide(seen, asked=four, live=four, wanted=less)
    assert (asked.replicas, asked.backends) == ({"s-2": 4}, one)
    assert decide(seen, asked=one, live=one, wanted=less).replicas == {"s-2": 1}


def test_an_unknown_wanted_revision_changes_nothing() -> None:
    made = decide(RevisionSeen(ready("s-1"), observed("Ready")), asked=OLD, live=OLD)
    assert (made.transitions, made.backends, made.wake_at) == ({}, OLD, None)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("leap", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_leaps_gives_a_revision_its_whole_time_again(leap: timedelta) -> None:
    late = NOW + leap
    seen = RevisionSeen(starting(), observed("Starting", started_at=NOW))
    made = decide(seen, now=late, steady=late)
    assert (made.transitions, made.wake_at) == ({}, late + timedelta(seconds=60))
    end = late + timedelta(seconds=60)
    assert decide(seen, now=end, steady=late).transitions["s-2"].reason == "ProgressDeadlineExceeded"


@pytest.mark.parametrize("leap", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_that_leaps_cuts_no_request_off_and_keeps_no_idle_revision(leap: timedelta) -> None:
    late = NOW + leap
    draining = ready("s-1").mark_draining(NOW + timedelta(seconds=30), NOW)

    def after(seconds: float, active: int) -> Any:
        seen = RevisionSeen(draining, observed("Ready", "Ready"), active)
        wanted = RevisionSeen(ready("s-2"), observed("Ready", "Ready"))
        now = late + timedelta(seconds=seconds)
        return decide(seen, wanted, asked=NEW, live=NEW, now=now, steady=late).transitions.get("s-1")

    assert after(0.0, active=0) is None
    assert after(1.0, active=0) == Outcome("Retired", "Drained")
    assert after(29.0, active=1) is None
    assert after(30.0, active=1) == Outcome("Retired", "Drained")


def test_a_machine_that_was_off_gives_nothing_up() -> None:
    """The first look of the next hub: its clock can be measured with since now."""
    tomorrow = NOW + timedelta(days=1)
    seen = RevisionSeen(starting(), observed("Starting", started_at=NOW))
    assert decide(seen, now=tomorrow, steady=tomorrow).transitions == {}
