"""The lifecycle verbs: what each writes into status and conditions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from shipway.kinds import (
    LISTED,
    Backend,
    Cluster,
    ClusterStatus,
    Evaluate,
    Model,
    ModelJob,
    ModelJobSpec,
    ModelService,
    ModelServiceSpec,
    ModelVersion,
    Object,
    ObjectMeta,
    ResolvedModel,
    Revision,
    RevisionSpec,
    RevisionTemplate,
    Route,
    RouteSpec,
    Run,
    split_reference,
)

T0 = datetime(2026, 1, 1, tzinfo=UTC)
T1 = T0 + timedelta(seconds=1)
DIGEST = "sha256:" + "0" * 64
META = ObjectMeta(name="digits", generation=3)

JOB = ModelJob(metadata=META, spec=ModelJobSpec(command=("python", "train.py"), model="digits"))
RUN = Run(id="digits-abcd-7", fingerprint=DIGEST, started_at=T0)
MODEL = Model(metadata=META)
SERVICE = ModelService(metadata=META, spec=ModelServiceSpec(model="digits"))
RESOLVED = ResolvedModel(name="digits", version=1, digest=DIGEST)
REVISION = Revision(
    metadata=META,
    spec=RevisionSpec(service="digits", number=1, template=RevisionTemplate(), hash=DIGEST),
)
ROUTE = Route(metadata=META, spec=RouteSpec(service="digits", backends=(Backend(revision="digits-00001"),)))


def version(number: int, gate: str = "none") -> ModelVersion:
    return ModelVersion(number=number, digest=DIGEST, format="onnx", size=1, created_at=T0, gate=gate)  # type: ignore[arg-type]


def told(obj: Object, type_: str) -> tuple[str, str, str, int]:
    """The condition as (status, reason, message, observed generation)."""
    found = obj.status.condition(type_)
    assert found is not None
    return found.status, found.reason, found.message, found.observed_generation


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    job = JOB.with_condition("Complete", "Unknown", "A", "", T0).with_condition("Complete", "Unknown", "B", "", T1)
    assert [(one.reason, one.last_transition_time) for one in job.status.conditions] == [("B", T0)]
    moved = job.with_condition("Complete", "True", "C", "", T1)
    assert moved.status.conditions[0].last_transition_time == T1


def test_conditions_are_sorted_and_asked_by_type() -> None:
    job = JOB.with_condition("Z", "True", "A", "", T0).with_condition("B", "False", "A", "", T0)
    assert [one.type for one in job.status.conditions] == ["B", "Z"]
    assert job.status.is_true("Z")
    assert not job.status.is_true("B")
    assert not job.status.is_true("Missing")
    assert job.status.condition("Missing") is None


def test_a_status_written_for_an_older_generation_says_so() -> None:
    job = JOB.with_condition("Complete", "True", "Succeeded", "", T0)
    assert job.observed_at(3) is job
    older = job.observed_at(2)
    assert (older.status.observed_generation, told(older, "Complete")[3]) == (2, 2)


def test_objects_are_values_with_camel_case_json() -> None:
    with pytest.raises(ValidationError):
        JOB.metadata.name = "other"
    document = JOB.mark_started(RUN, T0).to_json()
    assert document["apiVersion"] == "shipway.dev/v1alpha1"
    assert document["status"]["run"]["startedAt"] == "2026-01-01T00:00:00Z"
    assert "exitCode" not in document["status"]["run"]
    assert ModelJob.model_validate(document) == JOB.mark_started(RUN, T0)
    assert (JOB.key, JOB.name) == (("ModelJob", "digits"), "digits")


def test_a_job_runs_packs_and_succeeds() -> None:
    job = JOB.mark_started(RUN, T0)
    assert (job.status.phase, job.status.runs, job.status.run) == ("Running", 7, RUN)
    assert told(job, "Complete") == ("Unknown", "Running", "run digits-abcd-7, attempt 1", 3)
    job = job.mark_packing(RUN, {"accuracy": 0.9}, T1)
    assert (job.status.phase, job.status.metrics) == ("Packing", {"accuracy": 0.9})
    stuck = job.mark_packing_stuck("the disk is full", T1)
    assert told(stuck, "Complete") == ("Unknown", "PackingDelayed", "the disk is full", 3)
    job = job.mark_succeeded(
        version="digits:1",
        promoted=None,
        metrics={"accuracy": 0.9},
        cached=False,
        reason="Succeeded",
        message="done",
        now=T1,
    )
    assert (job.status.phase, job.status.version, job.status.cached) == ("Succeeded", "digits:1", False)
    assert told(job, "Complete") == ("True", "Succeeded", "done", 3)


def test_a_job_retries_and_fails() -> None:
    job = JOB.mark_started(RUN, T0).mark_retrying(RUN, "Error: exit code 3", T1)
    assert told(job, "Complete") == ("Unknown", "BackOff", "Error: exit code 3", 3)
    job = job.mark_failed(RUN, "Error", "exit code 3", "Traceback", "/log", T1)
    assert (job.status.phase, job.status.tail, job.status.log, job.status.version) == (
        "Failed",
        "Traceback",
        "/log",
        None,
    )
    assert told(job, "Complete") == ("False", "Error", "exit code 3", 3)
    again = job.mark_started(RUN.model_copy(update={"id": "digits-abcd-8"}), T1)
    assert (again.status.runs, again.status.tail, again.status.log) == (8, "", "")


def test_specs_that_contradict_themselves() -> None:
    with pytest.raises(ValidationError, match="give at least one of min, max, notWorseThan"):
        Evaluate(metric="accuracy")
    with pytest.raises(ValidationError, match="evaluate needs model"):
        ModelJobSpec(command=("x",), evaluate=Evaluate(metric="accuracy", min=0.9))
    assert ModelJobSpec(command=("x",), model="m", evaluate=Evaluate(metric="accuracy", max=1)).evaluate is not None
    with pytest.raises(ValidationError, match="give either model"):
        ModelServiceSpec(model="digits", command=("x",))
    with pytest.raises(ValidationError, match="predictor needs model"):
        ModelServiceSpec(command=("x",), predictor="p.py:P")


def test_a_models_aliases_follow_its_versions() -> None:
    model = MODEL.mark_versions((), T0)
    assert told(model, "Ready") == ("False", "NoVersions", "0 version(s)", 3)
    model = model.mark_versions((version(1), version(2)), T0)
    assert told(model, "Ready") == ("True", "VersionsAvailable", "2 version(s)", 3)
    assert model.status.aliases == {"latest": 2, "champion": 2}
    failed = MODEL.mark_versions((version(1, "failed"),), T0)
    assert failed.status.aliases == {"latest": 1}


def test_an_alias_stays_where_it_was_put() -> None:
    model = MODEL.mark_versions((version(1),), T0).mark_versions((version(1), version(2)), T0)
    assert model.status.aliases == {"latest": 2, "champion": 1}
    named = model.mark_alias("prod", 1).mark_alias("champion", 2)
    assert named.mark_versions((version(1), version(2)), T1).status.aliases == {"latest": 2, "champion": 2, "prod": 1}
    assert "prod" not in named.mark_alias("prod", None).status.aliases
    assert "latest" not in named.mark_versions((), T1).status.aliases


def test_a_status_lists_the_newest_versions_and_those_with_an_alias() -> None:
    model = MODEL.mark_alias("prod", 7).mark_alias("gone", 20_000)
    assert model.listed(range(1, 10_001)) == {7, *range(10_001 - LISTED, 10_001)}
    mirrored = model.mark_versions((version(7), version(10_000)), T0, count=10_000)
    assert (mirrored.status.count, mirrored.status.aliases["latest"]) == (10_000, 10_000)
    assert told(mirrored, "Ready")[2] == "10000 version(s)"
    assert (mirrored.number("3"), mirrored.version("3"), mirrored.number("prod")) == (3, None, 7)


def test_a_version_by_number_or_alias() -> None:
    model = MODEL.mark_versions((version(1), version(2)), T0)
    assert model.version("2") == model.version("latest") == version(2)
    assert model.version("9") is None
    assert model.version("stable") is None
    failed = model.mark_import_failed(DIGEST, "no files", T0)
    assert told(failed, "Ready") == ("False", "ImportFailed", "no files", 3)
    assert failed.status.source == model.mark_imported(DIGEST).status.source == DIGEST
    assert told(model.mark_import_delayed("disk full", T0), "Ready") == ("Unknown", "ImportDelayed", "disk full", 3)
    assert [split_reference(one) for one in ("digits", "digits:2")] == [("digits", "champion"), ("digits", "2")]


def test_a_service_leaves_room_for_the_names_of_its_revisions() -> None:
    spec = {"command": ["x"]}
    ModelService.model_validate({"kind": "ModelService", "metadata": {"name": "a" * 44}, "spec": spec})
    with pytest.raises(ValidationError, match="too long for a service: at most 44 characters"):
        ModelService.model_validate({"kind": "ModelService", "metadata": {"name": "a" * 45}, "spec": spec})


def test_a_service_rolls_out() -> None:
    service = SERVICE.mark_waiting("ModelNotAvailable", "no version", T0)
    assert told(service, "RolledOut") == ("Unknown", "ModelNotAvailable", "no version", 3)
    service = service.mark_progressing("digits-00001", RESOLVED, "starting", T0)
    assert (service.status.latest_revision, service.status.ready_revision) == ("digits-00001", "")
    service = service.mark_rolled_out("digits-00001", RESOLVED, "http://x", T1)
    assert (service.status.ready_revision, service.status.url) == ("digits-00001", "http://x")
    assert told(service, "RolledOut") == ("True", "RolledOut", "all traffic goes to digits-00001", 3)
    failed = service.mark_rollout_failed("digits-00002", RESOLVED, "StartupProbeFailed", "no port", T1)
    assert (failed.status.latest_revision, failed.status.ready_revision) == ("digits-00002", "digits-00001")
    assert told(failed, "RolledOut")[:2] == ("False", "StartupProbeFailed")


@pytest.mark.parametrize(
    ("ready", "wanted", "told_status", "reason"),
    [(2, 2, "True", "Serving"), (0, 2, "False", "NoReadyReplica"), (0, 0, "False", "ScaledToZero")],
)
def test_a_service_serves(ready: int, wanted: int, told_status: str, reason: str) -> None:
    service = SERVICE.mark_serving(ready=ready, wanted=wanted, url="u", environment="venv", message="m", now=T0)
    assert told(service, "Ready") == (told_status, reason, f"{ready} of {wanted} replicas are ready; m", 3)
    assert (service.status.replicas, service.status.ready_replicas) == (wanted, ready)


def test_a_services_template_leaves_out_what_needs_no_revision() -> None:
    fields = set(SERVICE.spec.template().model_dump())
    assert "command" in fields
    assert fields.isdisjoint({"replicas", "rollout", "timeout", "retries", "model"})


def test_a_revision_lives_and_retires() -> None:
    starting = REVISION.mark_starting("again", T0)
    assert (starting.status.phase, starting.status.retry, starting.status.started_at) == ("Starting", "again", T0)
    assert told(starting, "Ready")[:2] == ("Unknown", "Starting")
    assert told(starting.mark_ready(T1), "Ready")[:2] == ("True", "Ready")
    failed = starting.mark_failed("ModelNotLoaded", "truncated", "tail", "/log", T1)
    assert (failed.status.phase, failed.status.tail, failed.status.log) == ("Failed", "tail", "/log")
    assert told(failed, "Ready")[:3] == ("False", "ModelNotLoaded", "truncated")
    draining = starting.mark_ready(T0).mark_draining(T1, T0)
    assert (draining.status.phase, draining.status.drain_until) == ("Draining", T1)
    retired = draining.mark_retired(T1)
    assert (retired.status.phase, retired.status.drain_until) == ("Retired", None)


def test_a_route_is_live_or_not() -> None:
    live = ROUTE.mark_live("http://x", T0)
    assert (live.status.url, live.status.live_backends) == ("http://x", ROUTE.spec.backends)
    assert told(live, "Programmed") == ("True", "Programmed", "http://x", 3)
    refused = live.mark_not_live("Rejected", "bad", T1)
    assert refused.status.live_backends == ROUTE.spec.backends
    assert told(refused, "Programmed") == ("False", "Rejected", "bad", 3)


def test_a_cluster_says_what_it_can() -> None:
    cluster = Cluster(metadata=ObjectMeta(name="local")).mark_ready(ClusterStatus(cpus=2.0, memory=1), T0)
    assert cluster.status.cpus == 2.0
    assert told(cluster, "Ready")[:2] == ("True", "Reachable")
