"""Every row of the job's life: what is seen, and what is decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipway.bundle import Observed, Replica
from shipway.jobs import Platform, Seen, components, declared, fingerprint, step
from shipway.kinds import RETRAIN, ModelJob, ModelJobSpec, ModelVersion, ObjectMeta, Run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Platform("cpython-3.11.7", "linux-x86_64")
DIGEST = "sha256:" + "a" * 64


def make_job(**spec: Any) -> ModelJob:
    fields = {"command": ("python", "train.py"), "model": "digits", **spec}
    return ModelJob(metadata=ObjectMeta(name="digits", uid="12345678-x", generation=1), spec=ModelJobSpec(**fields))


def seen(job: ModelJob, **rest: Any) -> Seen:
    return Seen(components(job.spec, HERE), declared(job.spec, HERE), **rest)


def started(job: ModelJob, **run: Any) -> ModelJob:
    decision = step(job, seen(job), NOW)
    assert decision.run is not None
    return job.mark_started(decision.run.model_copy(update=run), NOW)


def version(job: ModelJob, number: int = 1, age: float = 0.0) -> ModelVersion:
    return ModelVersion(
        number=number,
        digest=DIGEST,
        format="sklearn-joblib",
        size=1,
        created_at=NOW - timedelta(seconds=age),
        fingerprint=fingerprint(components(job.spec, HERE)),
    )


def failed(**replica: Any) -> Observed:
    return Observed("w", DIGEST, "Failed", (Replica(0, "Exited", **replica),))


def succeeded_with(job: ModelJob, **rest: Any) -> ModelJob:
    return job.mark_succeeded(
        version="digits:1", promoted=None, metrics={}, cached=False, reason="Succeeded", message="", now=NOW, **rest
    )


def test_a_new_job_starts_and_says_why() -> None:
    job = make_job()
    decision = step(job, seen(job), NOW)
    assert (decision.action, decision.reason) == ("start", "CacheMiss")
    assert decision.message == "no run with this fingerprint is known"
    assert decision.run == Run(
        id="digits-12345678-1",
        fingerprint=fingerprint(components(job.spec, HERE)),
        components=components(job.spec, HERE),
        declared=declared(job.spec, HERE),
        started_at=NOW,
    )


def test_an_equal_run_is_reused_and_named() -> None:
    job = make_job()
    decision = step(job, seen(job, versions=(version(job, 1), version(job, 2))), NOW)
    assert (decision.action, decision.message) == ("reuse", "job fingerprint seen in digits:2")
    assert decision.version is not None and decision.version.number == 2


def test_another_fingerprint_is_not_reused() -> None:
    other = version(make_job(params={"C": 2}))
    job = make_job()
    assert step(job, seen(job, versions=(other,)), NOW).action == "start"


@pytest.mark.parametrize(
    ("cache", "age", "action"), [({"ttl": "1m"}, 59, "reuse"), ({"ttl": "1m"}, 61, "start"), (False, 0, "start")]
)
def test_cache_policies(cache: Any, age: float, action: str) -> None:
    job = make_job(cache=cache)
    assert step(job, seen(job, versions=(version(job, age=age),)), NOW).action == action


def test_cache_off_says_so() -> None:
    job = make_job(cache=False)
    assert step(job, seen(job), NOW).reason == "CacheOff"


def test_a_finished_job_rests_until_its_spec_changes() -> None:
    job = succeeded_with(started(make_job()))
    assert step(job, seen(job), NOW).action == "rest"
    assert step(job, Seen({"interpreter": "cpython-3.12.0"}), NOW).action == "rest"


def test_a_changed_spec_runs_and_names_the_component() -> None:
    done = succeeded_with(started(make_job()))
    changed = done.model_copy(
        update={
            "spec": make_job(params={"C": 2}).spec,
            "metadata": done.metadata.model_copy(update={"generation": 2}),
        }
    )
    decision = step(changed, seen(changed), NOW)
    assert (decision.action, decision.message) == ("start", "params changed: C 2 is new")
    assert set(decision.data["changed"]) == {"params"}
    assert decision.run is not None and decision.run.id == "digits-12345678-2"


def test_a_lost_result_runs_again() -> None:
    done = succeeded_with(started(make_job()))
    touched = done.model_copy(update={"metadata": done.metadata.model_copy(update={"generation": 2})})
    assert step(touched, seen(touched), NOW).message.endswith("and its result is gone or too old")


def test_retrain_runs_although_an_equal_run_is_known() -> None:
    job = make_job()
    annotated = job.model_copy(update={"metadata": job.metadata.model_copy(update={"annotations": {RETRAIN: "t1"}})})
    decision = step(annotated, seen(annotated, versions=(version(job),)), NOW)
    assert (decision.action, decision.reason) == ("start", "Retrain")
    assert decision.run is not None
    done = succeeded_with(annotated.mark_started(decision.run, NOW))
    assert step(done, seen(done), NOW).action == "rest"


def test_a_job_without_model_reuses_its_own_last_run() -> None:
    job = started(make_job(model=None), exit_code=0)
    done = succeeded_with(job)
    touched = done.model_copy(update={"metadata": done.metadata.model_copy(update={"generation": 2})})
    decision = step(touched, seen(touched), NOW)
    assert (decision.action, decision.message) == ("reuse", "job fingerprint seen in run digits-12345678-1")


def test_a_failed_job_without_model_is_not_reused() -> None:
    job = started(make_job(model=None), exit_code=1)
    done = succeeded_with(job)
    touched = done.model_copy(update={"metadata": done.metadata.model_copy(update={"generation": 2})})
    assert step(touched, seen(touched), NOW).action == "start"


def test_a_running_job_that_the_cluster_does_not_know_is_run() -> None:
    job = started(make_job())
    assert step(job, seen(job), NOW).action == "run"


@pytest.mark.parametrize("phase", ["Preparing", "Running", "Stopping"])
def test_a_running_job_is_waited_for(phase: Any) -> None:
    job = started(make_job())
    assert step(job, seen(job, observed=Observed("w", DIGEST, phase)), NOW).action == "wait"


def test_a_changed_spec_replaces_the_run_under_way() -> None:
    job = started(make_job())
    changed = job.model_copy(update={"spec": make_job(params={"C": 2}).spec})
    decision = step(changed, seen(changed, observed=Observed("w", DIGEST, "Running")), NOW)
    assert decision.action == "start" and decision.run is not None and decision.run.id.endswith("-2")


def test_exit_0_is_packed() -> None:
    job = started(make_job())
    ended = NOW + timedelta(seconds=5)
    decision = step(job, seen(job, observed=Observed("w", DIGEST, "Succeeded", finished_at=ended)), NOW)
    assert decision.action == "pack" and decision.run is not None
    assert (decision.run.exit_code, decision.run.finished_at) == (0, ended)


@pytest.mark.parametrize(
    ("observed", "reason", "message"),
    [
        (failed(exit_code=3), "Error", "the code ended with exit code 3"),
        (failed(signal=9), "Error", "the code was ended by signal 9"),
        (Observed("w", DIGEST, "Failed", reason="OOMKilled", message="limit 64Mi"), "OOMKilled", "limit 64Mi"),
    ],
)
def test_a_failure_without_retries_is_final(observed: Observed, reason: str, message: str) -> None:
    job = started(make_job())
    decision = step(job, seen(job, observed=observed), NOW)
    assert (decision.action, decision.reason, decision.message) == ("fail", reason, message)


def test_the_replica_that_failed_first_is_blamed() -> None:
    stopped = Replica(0, "Exited", signal=15, reason="Stopped")
    broken = Replica(1, "Exited", exit_code=7, reason="Error")
    job = started(make_job(replicas=2))
    gang = Observed("w", DIGEST, "Failed", (stopped, broken), reason="Error")
    decision = step(job, seen(job, observed=gang), NOW)
    assert decision.message == "the code ended with exit code 7"


def test_retries_back_off_and_end() -> None:
    job = started(make_job(retries=2))
    delays = []
    now = NOW
    for _ in range(2):
        decision = step(job, seen(job, observed=failed(exit_code=1)), now)
        assert decision.action == "retry" and decision.run is not None and decision.wake_at is not None
        delays.append((decision.wake_at - now).total_seconds())
        job = job.mark_retrying(decision.run, decision.message, now)
        waiting = step(job, seen(job, observed=failed(exit_code=1)), now)
        assert (waiting.action, waiting.wake_at) == ("wait", decision.wake_at)
        now = decision.wake_at
        again = step(job, seen(job, observed=failed(exit_code=1)), now)
        assert again.action == "start" and again.run is not None and again.reason == "Retry"
        job = job.mark_started(again.run, now)
    assert delays == [1.0, 2.0]
    assert job.status.run is not None and job.status.run.attempt == 3 and job.status.runs == 1
    assert step(job, seen(job, observed=failed(exit_code=1)), now).action == "fail"


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
def test_a_clock_that_leaps_holds_no_retry_back(hours: int) -> None:
    job = started(make_job(retries=1))
    decision = step(job, seen(job, observed=failed(exit_code=1)), NOW)
    assert decision.action == "retry" and decision.run is not None
    job = job.mark_retrying(decision.run, decision.message, NOW)
    later = NOW + timedelta(hours=hours)
    assert step(job, seen(job, observed=failed(exit_code=1)), later).action == "start"


def test_a_failed_job_rests_and_runs_again_when_its_spec_changes() -> None:
    job = started(make_job())
    assert job.status.run is not None
    broken = job.mark_failed(job.status.run, "Error", "", "", "", NOW)
    assert step(broken, seen(broken), NOW).action == "rest"
    touched = broken.model_copy(update={"metadata": broken.metadata.model_copy(update={"generation": 2})})
    assert step(touched, seen(touched), NOW).action == "start"


def test_each_component_changes_the_fingerprint() -> None:
    base = make_job()
    variants = [
        make_job(command=("python", "other.py")),
        make_job(params={"C": 1}),
        make_job(inputs={"a": {"path": "a", "digest": DIGEST}}),
        make_job(requirements=("numpy==2.0.0",)),
        make_job(env={"A": "1"}),
        make_job(env={"A": {"secret": {"name": "s", "key": "K"}}}),
        make_job(replicas=2),
        make_job(source={"digest": DIGEST}),
    ]
    prints = {fingerprint(components(one.spec, HERE)) for one in [base, *variants]}
    assert len(prints) == len(variants) + 1
    assert fingerprint(components(base.spec, Platform("cpython-3.12.1", HERE.machine))) not in prints


def test_what_does_not_decide_the_result_is_not_in_the_fingerprint() -> None:
    base = fingerprint(components(make_job().spec, HERE))
    for change in ({"retries": 3}, {"timeout": "1h"}, {"resources": {"memory": "1Gi"}}, {"cache": False}):
        assert fingerprint(components(make_job(**change).spec, HERE)) == base


def test_how_long_a_run_took_is_unknown_when_the_clock_was_set_back() -> None:
    job = started(make_job())
    ended = Observed("w", DIGEST, "Succeeded", started_at=NOW, finished_at=NOW - timedelta(hours=1))
    assert step(job, seen(job, observed=ended), NOW).data["seconds"] is None
    ended = Observed("w", DIGEST, "Succeeded", started_at=NOW, finished_at=NOW + timedelta(seconds=2))
    assert step(job, seen(job, observed=ended), NOW).data["seconds"] == 2.0


def test_an_image_that_the_user_names_is_part_of_the_fingerprint() -> None:
    old, new = (make_job(command=(), image=f"app:{number}") for number in (1, 2))
    assert step(new, seen(new, versions=(version(old),)), NOW).action == "start"
    assert (
        step(new, seen(new, versions=(version(make_job(command=(), image="app:2", args=("x",))),)), NOW).action
        == "start"
    )
    assert step(new, seen(new, versions=(version(new),)), NOW).action == "reuse"


def test_one_that_was_built_of_the_source_is_not() -> None:
    """Trained here and on a cluster, it is the same run."""
    here, there = (make_job(source={"digest": DIGEST}, **more) for more in ({}, {"cluster": "prod", "image": "r/a:1"}))
    assert step(there, seen(there, versions=(version(here),)), NOW).action == "reuse"


def disrupted(reason: str = "Evicted") -> Observed:
    return Observed("w", DIGEST, "Failed", (Replica(0, "Exited", exit_code=143),), reason, "its node is being drained")


def test_what_the_cluster_ended_uses_up_no_retry() -> None:
    job = started(make_job(retries=1))
    decision = step(job, seen(job, observed=disrupted()), NOW)
    assert decision.action == "retry" and decision.run is not None
    assert "(disruption 1, of 10 that are no retries)" in decision.message
    job = job.mark_retrying(decision.run, decision.message, NOW)
    again = step(job, seen(job), NOW + timedelta(minutes=1))
    assert again.run is not None and (again.run.attempt, again.message) == (2, "attempt 2 of 3")
    job = job.mark_started(again.run, NOW)
    assert step(job, seen(job, observed=failed(exit_code=1)), NOW).action == "retry"
    last = job.mark_started(again.run.model_copy(update={"attempt": 3}), NOW)
    assert step(last, seen(last, observed=failed(exit_code=1)), NOW).action == "fail"


def test_but_not_for_ever() -> None:
    job = started(make_job(), attempt=11, disruptions=10)
    assert step(job, seen(job, observed=disrupted("NodeLost")), NOW).action == "fail"


@pytest.mark.parametrize("code, action", [(42, "fail"), (74, "retry")])
def test_what_says_never_again_is_not_tried_again(code: int, action: str) -> None:
    job = started(make_job(retries=3))
    assert step(job, seen(job, observed=failed(exit_code=code)), NOW).action == action
