"""Jobs as workloads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shipway.cluster.kubernetes.watch.jobs import output_reference, why_foreign
from shipway.cluster.kubernetes.watch.observe import observed
from shipway.cluster.kubernetes.watch.seen import Seen
from tests.cluster.kubernetes.observe.objects import LATER, Json, condition, event, job, pod, running, terminated

REFERENCE = "ghcr.io/team/outputs@sha256:" + "12" * 32
PUSHED = terminated(0, "Completed", json.dumps({"output": REFERENCE}) + "\n")
COMPLETE = job([condition("SuccessCriteriaMet"), condition("Complete")], completionTime=LATER, succeeded=1)
DONE = Seen("digits", COMPLETE, (pod(phase="Succeeded", state=PUSHED, server=False),))


def failed(reason: str, message: str = "Job has failed") -> list[Json]:
    return [condition("FailureTarget", reason, message), condition("Failed", reason, message)]


def of_index(index: int, **more: Any) -> Json:
    label = {"batch.kubernetes.io/job-completion-index": str(index)}
    return pod(f"digits-{index}-abcde", server=False, metadata={"labels": label}, **more)


def test_a_job_is_done_when_its_result_is_here() -> None:
    waiting = observed(DONE)
    assert (waiting.phase, waiting.finished_at, waiting.output) == ("Running", None, "")
    late = observed(replace(DONE, output_delayed="its result could not be fetched"))
    assert (late.phase, late.reason, late.message) == (
        "Running",
        "OutputDelayed",
        "its result could not be fetched",
    )
    done = observed(replace(DONE, output="/home/outputs/1"))
    assert (done.phase, done.reason, done.tail, done.output) == ("Succeeded", "", "", "/home/outputs/1")
    assert done.started_at == datetime(2026, 1, 1, 9, 0, 1, tzinfo=UTC)
    assert done.finished_at == datetime(2026, 1, 1, 10, 0, 20, tzinfo=UTC)
    assert [(one.phase, one.exit_code, one.signal) for one in done.replicas] == [("Exited", 0, None)]


def test_the_result_is_that_of_the_lowest_index_which_has_one() -> None:
    one, two = of_index(0, phase="Succeeded", state=terminated(0)), of_index(1, phase="Succeeded", state=PUSHED)
    assert output_reference(Seen("digits", COMPLETE, (two, one))) == REFERENCE
    assert output_reference(Seen("digits", COMPLETE, (one,))) == ""


def test_a_result_whose_pods_are_gone_is_lost() -> None:
    lost = observed(Seen("digits", COMPLETE))
    assert (lost.phase, lost.reason) == ("Failed", "OutputLost")
    without = job([condition("Complete")], courier=False)
    assert observed(Seen("digits", without)).phase == "Succeeded"


def test_a_job_that_left_no_file_has_no_result_and_lost_none() -> None:
    quiet = terminated(0, "Completed", json.dumps({"exitCode": 0}) + "\n")
    done = observed(Seen("digits", COMPLETE, (pod(phase="Succeeded", state=quiet, server=False),)))
    assert (done.phase, done.output) == ("Succeeded", "")
    other = of_index(1, phase="Succeeded", state=quiet)  # replica 0 pushes for all
    assert observed(Seen("digits", COMPLETE, (other,))).reason == "OutputLost"


def test_a_gang_whose_pod_was_drained_was_disrupted() -> None:
    said = "Pod ml/digits-1-abcde has condition DisruptionTarget matching FailJob rule at index 1"
    left = of_index(0, phase="Failed", state=terminated(143, message="x"))
    one = observed(Seen("digits", job(failed("PodFailurePolicy", said), completions=2), (left,)))
    assert (one.phase, one.reason) == ("Failed", "Evicted") and "digits-1-abcde was put out" in one.message
    lost = of_index(1, phase="Failed", conditions=[condition("DisruptionTarget", "DeletionByPodGC")])
    one = observed(Seen("digits", job(failed("PodFailurePolicy", said), completions=2), (left, lost)))
    assert one.reason == "NodeLost"


def test_a_courier_that_had_to_be_killed_is_not_why_the_code_failed() -> None:
    courier = {"name": "courier", "state": terminated(137, "Error")}
    guilty = pod(phase="Failed", state=terminated(42, message="x"), server=False, init=[courier])
    one = observed(Seen("digits", job(failed("PodFailurePolicy")), (guilty,)))
    assert (one.reason, one.message) == ("Error", "exited with code 42, which says: never again: x")


def test_a_watch_of_jobs_that_is_ahead_of_that_of_pods_is_waited_for() -> None:
    behind = pod(state=running(), ready=True, server=False)
    assert observed(Seen("digits", COMPLETE, (behind,))).phase == "Running"
    assert observed(Seen("digits", job(failed("BackoffLimitExceeded")), (behind,))).phase == "Running"


def test_a_job_that_failed_tells_of_the_pod_at_fault() -> None:
    first = of_index(1, phase="Failed", state=terminated(7, message="one\nbefore the end\n"))
    second = of_index(0, phase="Failed", state=terminated(143))
    second["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = LATER
    one = observed(Seen("digits", job(failed("PodFailurePolicy"), completions=2), (second, first)))
    assert (one.phase, one.reason, one.tail) == ("Failed", "Error", "one\nbefore the end")
    assert one.message == "replica 1: exited with code 7: before the end"
    assert one.finished_at is not None


def test_the_log_of_a_failed_pod_is_waited_for() -> None:
    guilty = pod(phase="Failed", state=terminated(7), server=False)
    seen = Seen("digits", job(failed("BackoffLimitExceeded")), (guilty,))
    assert observed(seen).phase == "Running"
    read = observed(replace(seen, tails={"uid-digits-6d4cf56db6-x2k4p": "before the end"}))
    assert (read.phase, read.tail) == ("Failed", "before the end")
    nothing = observed(replace(seen, tails={"uid-digits-6d4cf56db6-x2k4p": ""}))
    assert (nothing.phase, nothing.message) == ("Failed", "exited with code 7")


ENDS = {
    "deadline": (failed("DeadlineExceeded"), (), "TimedOut", "took longer than 600 s"),
    "memory": (
        failed("BackoffLimitExceeded"),
        (pod(phase="Failed", state=terminated(137, "OOMKilled", "x"), server=False),),
        "OOMKilled",
        "resources.memory",
    ),
    "evicted": (
        failed("BackoffLimitExceeded"),
        (
            pod(
                phase="Failed",
                reason="Evicted",
                message="low on disk",
                state=terminated(137, message="x"),
                server=False,
            ),
        ),
        "Evicted",
        "low on disk",
    ),
    "nobody left": (
        failed("BackoffLimitExceeded", "Job has reached the limit"),
        (),
        "Error",
        "none of its Pods is left",
    ),
}


@pytest.mark.parametrize("conditions, pods, reason, words", ENDS.values(), ids=ENDS)
def test_how_a_job_fails(conditions: list[Json], pods: tuple[Json, ...], reason: str, words: str) -> None:
    one = observed(Seen("digits", job(conditions), pods))
    assert (one.phase, one.reason) == ("Failed", reason)
    assert words in one.message


def test_a_job_on_its_way() -> None:
    new = observed(Seen("digits", job()))
    assert (new.phase, new.reason, new.replicas) == ("Preparing", "", ())
    quota = event(
        "FailedCreate", "exceeded quota: q, requested: a=1, used: a=1, limited: a=1", of="uid-digits", kind="Job"
    )
    assert observed(Seen("digits", job(), events=(quota,))).reason == "QuotaExceeded"
    runs = observed(Seen("digits", job(active=1), (of_index(0, state=running(), ready=True),)))
    assert (runs.phase, [one.phase for one in runs.replicas]) == ("Running", ["Ready"])
    pushing = observed(Seen("digits", job(active=1), (of_index(0, state=terminated(0, "Completed")),)))
    assert (pushing.phase, pushing.reason, [one.phase for one in pushing.replicas]) == ("Running", "", ["Exited"])


def test_an_index_that_was_tried_again_is_one_replica() -> None:
    old = of_index(0, phase="Failed", state=terminated(1, message="x"), created="2026-01-01T10:00:00Z")
    new = of_index(0, state=running(), ready=True, created="2026-01-01T10:01:00Z")
    new["metadata"] |= {"name": "digits-0-zzzzz", "uid": "new"}
    one = observed(Seen("digits", job(), (new, old)))
    assert [(replica.index, replica.phase, replica.name) for replica in one.replicas] == [
        (0, "Ready", "digits-0-zzzzz")
    ]


def test_a_cron_job_is_never_done() -> None:
    cron = {
        "kind": "CronJob",
        "metadata": {"name": "digits", "creationTimestamp": "2026-01-01T09:00:00Z", "annotations": {}},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "a:1"}]}}}}},
        "status": {"lastScheduleTime": LATER},
    }
    one = observed(Seen("digits", cron))
    assert (one.phase, one.environment, one.started_at) == (
        "Running",
        "image a:1",
        datetime(2026, 1, 1, 10, 0, 20, tzinfo=UTC),
    )
    bad = pod(phase="Failed", state=terminated(1, message="boom"), server=False)
    assert observed(Seen("digits", cron, (bad,))).message == "exited with code 1: boom"


def test_a_result_that_lies_elsewhere_is_not_taken() -> None:
    """The job's own code can write a termination message too."""
    assert why_foreign(REFERENCE, "ghcr.io/team/outputs") == ""
    for other in (
        "evil.example/team/outputs@sha256:" + "12" * 32,
        "ghcr.io/team/outputs-of-others@sha256:" + "12" * 32,
        "ghcr.io/team/outputs/../../secret@sha256:" + "12" * 32,
        "ghcr.io/team/outputs@sha256:12",
        "ghcr.io/team/outputs:latest",
        REFERENCE + "\n",
    ):
        assert "not in ghcr.io/team/outputs" in why_foreign(other, "ghcr.io/team/outputs")
    seen = observed(replace(DONE, output_refused="it lies elsewhere"))
    assert (seen.phase, seen.reason, seen.message) == ("Failed", "OutputRefused", "it lies elsewhere")
