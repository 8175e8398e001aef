"""Every row of a rollout that the cluster carries out by itself: what is said of the revisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipway.bundle import Observed, Replica
from shipway.kinds import ObjectMeta, Revision, RevisionSpec, RevisionTemplate
from shipway.rollout import Outcome, Rolling, Wanted, step_rolling

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
ALWAYS = datetime.min.replace(tzinfo=UTC)
WANTED = Wanted("s-2", replicas=1, progress_deadline=60.0, drain=0.0)


def revision(name: str) -> Revision:
    spec = RevisionSpec(service="s", number=int(name[-1]), template=RevisionTemplate(), hash=DIGEST)
    return Revision(metadata=ObjectMeta(name=name), spec=spec)


def starting(name: str) -> Revision:
    return revision(name).mark_starting("", NOW)


def ready(name: str) -> Revision:
    return starting(name).mark_ready(NOW)


def failed(name: str) -> Revision:
    return starting(name).mark_failed("Error", "", "", "", NOW)


def seen(of: str = "s-2", *, rolled_out: bool = False, ready: int = 0, **rest: Any) -> Observed:
    replicas = tuple(Replica(index, "Ready", revision=of) for index in range(ready))
    return Observed("s", DIGEST, "Running", replicas, revision=of, rolled_out=rolled_out, **rest)


def decide(
    *revisions: Revision,
    observed: Observed | None = None,
    live: str = "s-1",
    now: datetime = NOW,
    wanted: Wanted = WANTED,
    steady: datetime = ALWAYS,
) -> Rolling:
    return step_rolling(wanted, revisions, live, observed, now, steady)


def test_a_new_revision_starts_and_the_one_before_stays_live() -> None:
    made = decide(ready("s-1"), revision("s-2"))
    assert made.transitions == {"s-2": Outcome("Starting", "New")}
    assert made.live == "s-1"
    assert made.wake_at == NOW + timedelta(seconds=75)


def test_rolled_out_takes_the_place_of_all_others() -> None:
    made = decide(ready("s-1"), starting("s-2"), starting("s-3"), observed=seen(rolled_out=True, ready=2))
    assert made.transitions == {
        "s-2": Outcome("Ready", "AllReplicasReady", "2 of 2 replicas are ready"),
        "s-1": Outcome("Retired", "Superseded", "s-2 has taken its place"),
        "s-3": Outcome("Retired", "Superseded", "s-2 has taken its place"),
    }
    assert (made.live, made.wake_at) == ("s-2", None)


def test_what_is_ready_stays_so() -> None:
    assert decide(ready("s-2"), observed=seen(rolled_out=True, ready=1), live="s-2") == Rolling({}, "s-2")
    assert decide(ready("s-2"), observed=seen(ready=0), live="s-2") == Rolling({}, "s-2")


def test_another_one_under_way_is_no_longer_wanted() -> None:
    made = decide(ready("s-1"), starting("s-2"), starting("s-3"), observed=seen("s-3"))
    assert made.transitions == {"s-3": Outcome("Retired", "Superseded", "s-2 is wanted now")}


@pytest.mark.parametrize("phase", ["Retired", "Draining"])
def test_a_revision_of_before_is_wanted_again(phase: str) -> None:
    before = ready("s-2").mark_retired(NOW) if phase == "Retired" else ready("s-2").mark_draining(NOW, NOW)
    assert decide(before).transitions == {"s-2": Outcome("Starting", "Wanted")}


def test_nothing_is_said_of_what_is_not_seen_or_not_seen_now() -> None:
    for observed in (None, seen("s-1", rolled_out=True), replace(seen(rolled_out=True, ready=1), stale_since=NOW)):
        assert decide(ready("s-1"), starting("s-2"), observed=observed).transitions == {}


def test_what_no_waiting_mends_is_given_up_at_once() -> None:
    made = decide(starting("s-2"), observed=seen(reason="ModelNotLoaded", message="no file", tail="t", log="l"))
    assert made.transitions == {"s-2": Outcome("Failed", "ModelNotLoaded", "no file", "t", "l")}
    assert made.live == "s-1"


def test_what_may_pass_has_until_the_deadline() -> None:
    waits = seen(reason="ImagePullBackOff", message="no such image")
    late = NOW + timedelta(seconds=76)
    assert decide(starting("s-2"), observed=waits, now=NOW + timedelta(seconds=70)).transitions == {}
    made = decide(starting("s-2"), observed=waits, now=late).transitions["s-2"]
    assert (made.phase, made.reason) == ("Failed", "ImagePullBackOff")
    assert made.message == "0 replicas were ready after 60 s: no such image"
    made = decide(starting("s-2"), observed=seen(), now=late).transitions["s-2"]
    assert (made.reason, made.message) == ("ProgressDeadlineExceeded", "0 replicas were ready after 60 s")


def test_a_leap_of_the_clock_starts_the_wait_anew() -> None:
    late = NOW + timedelta(hours=9)
    assert decide(starting("s-2"), observed=seen(), now=late, steady=late).transitions == {}
    back = NOW - timedelta(hours=1)
    assert decide(starting("s-2"), observed=seen(), now=back, steady=back).wake_at == back + timedelta(seconds=75)


def test_a_failed_one_may_still_come_and_is_asked_again() -> None:
    assert decide(failed("s-2"), observed=seen()).transitions == {}
    made = decide(failed("s-2"), observed=seen(rolled_out=True, ready=1))
    assert made.transitions["s-2"].phase == "Ready"
    again = decide(failed("s-2"), wanted=replace(WANTED, retry="x"))
    assert again.transitions == {"s-2": Outcome("Starting", "Retry")}


def test_what_the_cluster_does_not_take_has_failed() -> None:
    first = decide(revision("s-2"), live="").refused(revision("s-2"), "QuotaExceeded", "used up")
    assert first == Rolling({"s-2": Outcome("Failed", "QuotaExceeded", "used up")}, "")
    under_way = decide(starting("s-2")).refused(starting("s-2"), "QuotaExceeded", "used up")
    assert under_way.transitions["s-2"].phase == "Failed"
    serving = decide(ready("s-2"), observed=seen(rolled_out=True, ready=1), live="s-2")
    assert serving.refused(ready("s-2"), "Conflict", "kubectl holds it") == serving
