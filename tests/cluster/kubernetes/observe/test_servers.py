"""Deployments and StatefulSets as workloads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shipway.cluster.kubernetes.watch.observe import observed
from shipway.cluster.kubernetes.watch.seen import Seen, numbered
from tests.cluster.kubernetes.observe.objects import (
    BEGAN,
    Json,
    condition,
    deployment,
    event,
    pod,
    running,
    terminated,
    waiting,
)

READY = pod(state=running(), ready=True, started=True)
SERVED = Seen("digits", deployment(), (READY,))


def test_a_service_that_serves() -> None:
    one = observed(SERVED)
    assert (one.name, one.hash, one.phase, one.reason, one.message) == ("digits", "sha256:1", "Running", "", "")
    assert (one.revision, one.wanted, one.rolled_out) == ("digits-00002", 1, True)
    assert one.environment == "image ghcr.io/team/digits@sha256:abababababab"
    assert one.started_at == datetime(2026, 1, 1, 9, tzinfo=UTC)
    replica = one.replicas[0]
    assert (replica.index, replica.phase, replica.address) == (0, "Ready", "10.0.0.7:8080")
    assert (replica.name, replica.node, replica.revision) == ("digits-6d4cf56db6-x2k4p", "node-1", "digits-00002")


NOT_YET = {
    "not seen": deployment(generation=4, observedGeneration=3),
    "old Pods left": deployment(replicas=1, updatedReplicas=1, availableReplicas=1) | {},
    "not updated": deployment(updatedReplicas=0),
    "not available": deployment(availableReplicas=0),
}
NOT_YET["old Pods left"]["status"]["replicas"] = 2


@pytest.mark.parametrize("main", NOT_YET.values(), ids=NOT_YET)
def test_an_exchange_that_is_not_done(main: Json) -> None:
    assert not observed(replace(SERVED, main=main)).rolled_out


def test_a_stateful_set_goes_by_its_revisions() -> None:
    main = {**deployment(), "kind": "StatefulSet"}
    main["status"] |= {"currentRevision": "a", "updateRevision": "b", "updatedReplicas": 0, "readyReplicas": 1}
    one = pod("digits-1", metadata={"labels": {"apps.kubernetes.io/pod-index": "1"}}, state=running(), ready=True)
    found = observed(Seen("digits", main, (one,)))
    assert not found.rolled_out
    assert [replica.index for replica in found.replicas] == [1]
    main["status"]["currentRevision"] = "b"
    assert observed(Seen("digits", main, (one,))).rolled_out


@pytest.mark.parametrize(
    "given, phase",
    [
        (pod(phase="Pending"), "Starting"),
        (pod(state=running()), "Starting"),
        (pod(state=running(), started=True), "NotReady"),
        (pod(state=waiting("CrashLoopBackOff"), last=terminated(1)), "BackOff"),
        (pod(state=running(), ready=True, metadata={"deletionTimestamp": "2026-01-01T10:00:00Z"}), "Stopping"),
    ],
)
def test_phases_of_replicas(given: Json, phase: str) -> None:
    assert [one.phase for one in observed(replace(SERVED, pods=(given,))).replicas] == [phase]


def test_the_last_end_is_kept_while_it_runs_again() -> None:
    again = pod(state=running(), ready=True, last=terminated(137), restarts=4)
    replica = observed(replace(SERVED, pods=(again,))).replicas[0]
    assert (replica.restarts, replica.exit_code, replica.signal, replica.reason) == (4, None, 9, "")


def test_pods_that_may_not_be_made() -> None:
    quota = "forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"
    main = deployment(conditions=[condition("ReplicaFailure", "FailedCreate", quota)], updatedReplicas=0)
    one = observed(Seen("digits", main))
    assert (one.phase, one.reason, one.rolled_out) == ("Preparing", "QuotaExceeded", False)
    events = (event("FailedCreate", quota, of="uid-digits", kind="StatefulSet"),)
    assert observed(Seen("digits", deployment(), events=events)).reason == "QuotaExceeded"
    later = event("SuccessfulCreate", "create Pod digits-0", of="uid-digits", at="2026-01-01T10:00:30Z")
    assert observed(Seen("digits", deployment(), events=(*events, later))).reason == ""


def test_not_ready_in_time_says_what_held_it() -> None:
    late = condition("Progressing", "ProgressDeadlineExceeded", 'ReplicaSet "digits-2" has timed out', "False")
    held = pod("new", state=waiting("CrashLoopBackOff"), last=terminated(1, message="one\nboom"), restarts=3)
    old = pod("old", state=running(), ready=True, revision="digits-00001")
    one = observed(Seen("digits", deployment(conditions=[late]), (old, held)))
    assert (one.reason, one.message) == ("ProgressDeadlineExceeded", "not ready in time: exited with code 1: boom")
    assert one.tail == "one\nboom"
    soon = observed(Seen("digits", deployment(), (old, held)))
    assert (soon.reason, soon.message) == ("Error", "exited with code 1: boom")


def test_an_evicted_pod_is_a_note_and_no_replica() -> None:
    gone = pod("gone", phase="Failed", reason="Evicted", message="low on memory")
    one = observed(replace(SERVED, pods=(READY, gone)))
    assert len(one.replicas) == 1
    assert one.notes == ("gone: its node evicted it (low on memory); ask for what it needs in `resources`",)


METRICS = {
    "no metrics-server": (
        "FailedGetResourceMetric",
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for "
        "resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested "
        "resource (get pods.metrics.k8s.io)",
        "no metrics-server answers in this cluster",
    ),
    "not yet": (
        "FailedGetResourceMetric",
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for "
        "resource cpu: no metrics returned from resource metrics API",
        "waits for the first metrics",
    ),
    "no request": (
        "FailedGetResourceMetric",
        "failed to get cpu utilization: missing request for cpu in container main of Pod digits-1",
        "asks for no cpu",
    ),
    "custom": (
        "FailedGetPodsMetric",
        "unable to fetch metrics from custom metrics API: the server could not find the requested resource",
        "no adapter for such metrics",
    ),
}


@pytest.mark.parametrize("reason, message, words", METRICS.values(), ids=METRICS)
def test_an_autoscaler_without_metrics(reason: str, message: str, words: str) -> None:
    scaler = {"status": {"conditions": [condition("ScalingActive", reason, message, "False")]}}
    notes = observed(replace(SERVED, autoscaler=scaler)).notes
    assert len(notes) == 1
    assert words in notes[0]


def test_an_autoscaler_that_works_is_no_note() -> None:
    for one in (
        condition("ScalingActive", "ValidMetricFound"),
        condition("ScalingActive", "ScalingDisabled", "", "False"),
    ):
        assert observed(replace(SERVED, autoscaler={"status": {"conditions": [one]}})).notes == ()


def test_numbers_are_kept_for_as_long_as_a_pod_lives() -> None:
    a, b, c = (pod(name, created=f"2026-01-01T10:00:0{second}Z") for second, name in enumerate("abc"))
    numbers = numbered((b, a), {})
    assert numbers == {"uid-a": 0, "uid-b": 1}
    assert numbered((c, b), numbers) == {"uid-b": 1, "uid-c": 0}


def test_what_is_being_deleted() -> None:
    leaving = deployment()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T10:00:00Z"
    assert observed(Seen("digits", leaving)).phase == "Stopping"
    left = observed(Seen("digits", None, (READY,)))
    assert (left.phase, left.hash, len(left.replicas)) == ("Stopping", "", 1)


def test_as_last_seen() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert observed(replace(SERVED, stale_since=since)).stale_since == since


SERVICE = {
    "metadata": {"name": "digits", "namespace": "ml"},
    "spec": {"ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "grpc", "port": 81}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::1"}, {"hostname": "lb.example.com"}]}},
}
INGRESS = {
    "kind": "Ingress",
    "spec": {
        "tls": [{"hosts": ["a.example.com"]}],
        "rules": [{"host": "a.example.com", "http": {"paths": [{"path": "/digits"}]}}],
    },
}
ANY_HOST = {
    "kind": "Ingress",
    "spec": {"rules": [{"http": {"paths": [{"path": "/"}]}}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
}
ROUTE = {
    "kind": "HTTPRoute",
    "spec": {"hostnames": ["b.example.com"], "rules": [{"matches": [{"path": {"value": "/digits"}}]}]},
}


def test_addresses_from_the_inside_outwards() -> None:
    one = observed(replace(SERVED, service=SERVICE, fronts=(INGRESS, ANY_HOST, ROUTE)))
    assert one.addresses == (
        "http://digits.ml.svc:80",
        "http://192.168.1.5:30080",
        "http://[2001:db8::1]:80",
        "http://lb.example.com:80",
        "https://a.example.com/digits",
        "http://203.0.113.9/",
        "http://b.example.com/digits",
    )
    without_pods = observed(replace(SERVED, pods=(), service=SERVICE)).addresses
    assert not any("30080" in one for one in without_pods)


def test_what_comes_up_again_is_told_by_how_it_ended() -> None:
    """Its startup probe fails while it comes up, which says nothing: it ended because it could not load its model."""
    ended = {"terminated": {**terminated(3, message="no weights in model.bin")["terminated"], "finishedAt": BEGAN}}
    failing = event("Unhealthy", 'Startup probe failed: Get "http://10.0.0.7:8080/live": connection refused')
    one = pod(state=running(), last=ended, restarts=1)
    seen = observed(Seen("digits", deployment(1), (one,), (failing,)))
    assert (seen.replicas[0].reason, seen.replicas[0].message) == ("ModelNotLoaded", "no weights in model.bin")


def test_why_it_is_as_last_seen_is_a_note() -> None:
    said = "cluster https://10.0.0.1:6443 (context prod) does not accept user anna: it expired"
    seen = observed(Seen("digits", deployment(1), stale_since=datetime(2026, 1, 1, tzinfo=UTC), stale_because=said))
    assert seen.notes[-1] == said
