"""The table of what ``up`` waits for, and what it says meanwhile."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shipway.deploy.optimize import COMMAND as OPTIMIZE
from shipway.deploy.progress import Progress, progress
from shipway.kinds import Object, ObjectMeta, Route, RouteSpec
from tests.cli.worlds import (
    T0,
    T3,
    job,
    model,
    own_server,
    resolved,
    revision,
    run,
    sent,
    service,
    serving,
    succeeded,
)

NOW = T0 + timedelta(seconds=5)
BOTH = {("ModelJob", "digits", 1), ("ModelService", "digits", 1)}


def seen(*objects: Object, wanted: set[tuple[str, str, int]] | None = None) -> Progress:
    kinds = {"ModelJob", "Model", "ModelService"}
    keys = {(one.kind, one.name, 1) for one in objects if one.kind in kinds}
    return progress(sent(*objects), wanted or keys, NOW)


def lines(state: Progress) -> list[str]:
    return [f"{one.text}: {one.state}" + (f", {one.detail}" if one.detail else "") for one in state.steps]


RUNNING = job().mark_started(run().model_copy(update={"finished_at": None}), T0)
OPTIMIZING = job().model_copy(update={"spec": job().spec.model_copy(update={"command": tuple(OPTIMIZE)})})
FAILED_ROLLOUT = serving(service(), 1).mark_rollout_failed("digits-00002", resolved(2), "ModelNotLoaded", "cut\nx", T3)


@pytest.mark.parametrize(
    ("objects", "expected", "settled"),
    [
        pytest.param([job()], ["train digits: waiting"], False, id="nobody has judged it"),
        pytest.param([RUNNING], ["train digits: running"], False, id="runs"),
        pytest.param([OPTIMIZING], ["optimize digits: waiting"], False, id="looks for a faster form"),
        pytest.param(
            [job(model=None).mark_started(run(), T0)], ["run digits: running"], False, id="a job without a model"
        ),
        pytest.param(
            [RUNNING.mark_started(run(attempt=2), T0)], ["train digits: running, attempt 2"], False, id="second attempt"
        ),
        pytest.param(
            [RUNNING.mark_retrying(run(), "Error: exit code 3", T3)],
            ["train digits: retrying, attempt 1 of 1 failed, the next one in 0 s: Error: exit code 3"],
            False,
            id="back-off",
        ),
        pytest.param(
            [RUNNING.mark_packing(run(), {"accuracy": 0.9}, T3)],
            ["train digits: done, accuracy 0.9", "pack digits: running"],
            False,
            id="packs",
        ),
        pytest.param(
            [RUNNING.mark_packing(run(), {}, T3).mark_packing_stuck("the disk is full", T3)],
            ["train digits: done", "pack digits: running, the disk is full"],
            False,
            id="packing is stuck",
        ),
        pytest.param([job(model=None).mark_packing(run(), {}, T3)], ["run digits: done"], False, id="packs nothing"),
        pytest.param(
            [succeeded(job())],
            ["train digits: done, accuracy 0.9722", "pack digits: done, digits:1"],
            True,
            id="a job alone",
        ),
        pytest.param(
            [succeeded(job(), reason="CacheHit", message="job fingerprint seen in digits:1")],
            ["train digits: cached, job fingerprint seen in digits:1"],
            True,
            id="cached",
        ),
        pytest.param(
            [succeeded(job(model=None), None, reason="CacheHit", message="job fingerprint seen in run x")],
            ["run digits: cached, job fingerprint seen in run x"],
            True,
            id="cached without a model",
        ),
        pytest.param(
            [succeeded(job(gate=True))],
            ["train digits: done, accuracy 0.9722", "pack digits: done, digits:1", "gate: done, passed"],
            True,
            id="gate passed",
        ),
        pytest.param(
            [succeeded(job()).model_copy(update={"metadata": job(2).metadata})],
            ["train digits: waiting"],
            False,
            id="judged of the generation before",
        ),
        pytest.param(
            [succeeded(job()).model_copy(update={"metadata": job(1, retrain="now").metadata})],
            ["train digits: waiting"],
            False,
            id="retrain is not answered yet",
        ),
        pytest.param(
            [succeeded(job(1, retrain="now"))],
            ["train digits: done, accuracy 0.9722", "pack digits: done, digits:1"],
            True,
            id="retrain is answered",
        ),
        pytest.param(
            [RUNNING, serving(service())],
            ["train digits: running", "roll out digits: waiting"],
            False,
            id="the service waits for the job",
        ),
        pytest.param(
            [succeeded(job(), "digits:2"), model(1, 2, champion=2), serving(service(), 1)],
            ["train digits: done, accuracy 0.9722", "pack digits: done, digits:2", "roll out digits: waiting"],
            False,
            id="still the version before",
        ),
        pytest.param(
            [
                succeeded(job(), "digits:2"),
                model(1, 2, champion=2),
                serving(service(), 1).mark_progressing("digits-00002", resolved(2), "digits-00002 is starting", T0),
            ],
            [
                "train digits: done, accuracy 0.9722",
                "pack digits: done, digits:2",
                "roll out digits-00002: running, digits-00002 is starting",
            ],
            False,
            id="rolls out",
        ),
        pytest.param(
            [succeeded(job(), "digits:2"), model(1, 2, champion=2), serving(service(), 2)],
            [
                "train digits: done, accuracy 0.9722",
                "pack digits: done, digits:2",
                "roll out digits-00002: done, 1/1 replicas ready",
            ],
            True,
            id="everything is up",
        ),
        pytest.param(
            [model(1), serving(service(1, "digits:1"))],
            ["roll out digits-00001: done, 1/1 replicas ready"],
            True,
            id="a pinned version",
        ),
        pytest.param(
            [model(1, 2), serving(service(1, "digits:latest"), 1)],
            ["roll out digits: waiting"],
            False,
            id="an alias that moved",
        ),
        pytest.param([own_server()], ["roll out digits: waiting"], False, id="own server, new"),
        pytest.param(
            [serving(own_server(), None)], ["roll out digits-00001: done, 1/1 replicas ready"], True, id="own server"
        ),
        pytest.param(
            [serving(own_server(), None, ready=0)],
            ["roll out digits-00001: running, 0/1 replicas ready"],
            False,
            id="rolled out, none ready",
        ),
        pytest.param([model(source=True)], ["import digits: running"], False, id="import"),
        pytest.param([model(1, source=True)], ["import digits: done, digits:1"], True, id="imported"),
        pytest.param([model()], [], True, id="a declared name"),
        pytest.param(
            [model(source=True), service()],
            ["import digits: running", "roll out digits: waiting"],
            False,
            id="the service waits for the import",
        ),
        pytest.param([service()], ["roll out digits: waiting"], False, id="no model, and nobody said so yet"),
    ],
)
def test_what_is_shown_and_when_it_is_over(objects: list[Object], expected: list[str], settled: bool) -> None:
    state = seen(*objects)
    assert (lines(state), state.settled, state.failures) == (expected, settled, ())


def test_how_long_a_step_took() -> None:
    assert [one.elapsed for one in seen(RUNNING).steps] == [5.0]
    assert [one.elapsed for one in seen(succeeded(job())).steps] == [3.0, None]


def test_ready_replicas_behind_a_gateway_that_does_not_serve_them_are_not_up() -> None:
    one = serving(own_server(), None)
    route = Route(metadata=ObjectMeta(name="digits"), spec=RouteSpec(service="digits"))
    taken = "cannot bind '127.0.0.1:8100'"
    state = seen(one, route.mark_not_live("Rejected", taken, NOW - timedelta(seconds=5)))
    said = f"the gateway does not serve it: {taken}"
    assert (lines(state), state.settled) == ([f"roll out digits-00001: retrying, {said}"], False)
    for_good = seen(one, route.mark_not_live("Rejected", taken, NOW - timedelta(seconds=31)))
    assert (lines(for_good), for_good.settled) == ([f"roll out digits-00001: failed, {said}"], True)
    assert "shipway doctor" in for_good.failures[0].message
    assert seen(one, route.mark_live("u", NOW)).settled


def test_an_object_at_which_the_hub_fails_says_so_while_it_is_waited_for() -> None:
    stuck = job().with_condition("Reconciled", "False", "ReconcileFailed", "the disk is full", T0).observed_at(0)
    state = seen(stuck)
    assert (lines(state), state.settled) == (["train digits: retrying, the hub fails at it: the disk is full"], False)
    again = stuck.with_condition("Reconciled", "True", "Reconciled", "", T3).observed_at(0)
    assert lines(seen(again)) == ["train digits: waiting"]
    over = succeeded(job()).with_condition("Reconciled", "False", "ReconcileFailed", "the disk is full", T3)
    assert seen(over).settled


def test_scaled_to_zero_is_up() -> None:
    down = own_server().mark_rolled_out("digits-00001", None, "u", T0)
    down = down.mark_serving(ready=0, wanted=0, url="u", environment="", message="", now=T0)
    assert seen(down).settled


def test_an_answer_older_than_the_apply() -> None:
    state = seen(succeeded(job()), wanted={("ModelJob", "digits", 2)})
    assert (lines(state), state.settled) == (["digits: waiting"], False)


def test_a_failed_job_keeps_the_service() -> None:
    failed = (
        job().mark_started(run(), T0).mark_failed(run(), "Error", "exit code 3", "Traceback\nValueError", "/log", T3)
    )
    state = seen(failed, model(1), serving(service()))
    assert state.settled
    assert lines(state) == [
        "train digits: failed, exit code 3",
        "roll out digits: kept, digits goes on serving digits-00001 (digits:1)",
    ]
    (failure,) = state.failures
    assert (failure.reason, failure.tail, failure.log) == ("Error", "Traceback\nValueError", "/log")
    assert failure.serving == "digits goes on serving digits-00001 (digits:1)"


def test_a_gate_that_fails_the_first_version() -> None:
    message = "digits:1 is kept and not rolled out: accuracy 0.2 is below 0.9"
    state = seen(succeeded(job(gate=True), reason="GateFailed", message=message), model(), service())
    assert state.settled
    assert lines(state)[2:] == [f"gate: failed, {message}", "roll out digits: kept, nothing to serve yet"]
    assert [(one.reason, one.message, one.serving) for one in state.failures] == [("GateFailed", message, "")]


def test_a_rollout_that_failed_tells_the_revisions_tail() -> None:
    failed = revision(2).mark_failed("ModelNotLoaded", "cut", "EOFError", "/log", T3)
    state = seen(model(1, 2, champion=2), FAILED_ROLLOUT, failed)
    assert (lines(state), state.settled) == (["roll out digits-00002: failed, cut"], True)
    (failure,) = state.failures
    assert (failure.tail, failure.log) == ("EOFError", "/log")
    assert failure.serving == "digits goes on serving digits-00001 (digits:1)"


def test_a_rollout_that_failed_is_tried_again() -> None:
    asked = FAILED_ROLLOUT.model_copy(update={"metadata": service(1, retry="now").metadata})
    failed = revision(2).mark_starting("", T0).mark_failed("ModelNotLoaded", "cut", "", "", T3)
    assert not seen(model(1, 2, champion=2), asked, failed).settled, "the controller has not looked yet"
    looked = asked.with_status(asked.status.model_copy(update={"retry": "now"}))
    again = failed.mark_starting("now", T3)
    assert not seen(model(1, 2, champion=2), looked, again).settled
    assert seen(model(1, 2, champion=2), looked, again.mark_failed("ModelNotLoaded", "cut", "", "", T3)).settled


def test_what_a_cluster_refuses_of_a_revision_that_serves_is_said_once_it_was_tried_again() -> None:
    conflict = FAILED_ROLLOUT.model_copy(update={"metadata": service(1, retry="now").metadata})
    ready = revision(2).mark_starting("", T0).mark_ready(T3)
    assert not seen(model(1, 2, champion=2), conflict, ready).settled
    looked = conflict.with_status(conflict.status.model_copy(update={"retry": "now"}))
    assert seen(model(1, 2, champion=2), looked, ready).settled


def test_the_failure_of_an_older_version_does_not_count() -> None:
    assert not seen(model(1, 2, 3, champion=3), FAILED_ROLLOUT).settled


def test_a_pickle_that_is_not_trusted() -> None:
    refused = service().mark_rollout_failed("", None, "PickleNotTrusted", "it is a pickle", T0)
    state = seen(model(1), refused)
    assert (state.settled, state.failures[0].reason) == (True, "PickleNotTrusted")


def test_a_model_that_nobody_makes() -> None:
    state = seen(service().mark_waiting("ModelNotAvailable", "model digits has no version", T0))
    assert (state.settled, state.failures[0].message) == (True, "model digits has no version")


def test_an_import_that_failed() -> None:
    state = seen(model(source=True).mark_import_failed("sha256:" + "a" * 64, "no model file", T0), service())
    assert (state.settled, [one.reason for one in state.failures]) == (True, ["ImportFailed"])


def test_what_is_deleted_meanwhile() -> None:
    leaving = own_server().model_copy(
        update={"metadata": own_server().metadata.model_copy(update={"deletion_timestamp": T0})}
    )
    for state in (seen(leaving), seen(wanted={("ModelService", "digits", 1)})):
        assert (state.settled, state.failures[0].reason) == (True, "Deleted")


def test_jobs_come_before_services() -> None:
    assert [one.subject[0] for one in seen(serving(service()), job()).steps] == ["ModelJob", "ModelService"]


def test_a_failed_job_without_a_service_says_nothing_of_serving() -> None:
    failed = job(model=None).mark_started(run(), T0).mark_failed(run(), "Error", "exit code 3", "", "", T3)
    assert [one.serving for one in seen(failed, serving(own_server(), None)).failures] == [""]


def test_a_job_that_failed_before_it_ran_took_no_time() -> None:
    failed = job().mark_failed(None, "SourceMissing", "no such snapshot", "", "", T0)
    assert [(one.state, one.elapsed) for one in seen(failed).steps] == [("failed", None)]
