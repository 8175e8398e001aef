"""Why a Pod does not run, for every way that Kubernetes has of saying it."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.cluster.kubernetes.watch.reasons import why_pod
from tests.cluster.kubernetes.observe.objects import (
    BEGAN,
    ENDED,
    IMAGE,
    LATER,
    Json,
    condition,
    event,
    pod,
    running,
    terminated,
    waiting,
)

CRASHED = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=main pod=digits-6d4cf56db6-x2k4p_ml(1)")
LIMITED = {"resources": {"limits": {"memory": "512Mi"}}}
UNSCHEDULED: Json = {"spec": {"nodeName": ""}, "phase": "Pending"}


def crashed(code: int, reason: str = "Error", message: str = "", **more: Any) -> Json:
    return pod(state=CRASHED, last=terminated(code, reason, message), restarts=2, **more)


WAITS = {
    "pull": (pod(state=waiting("ErrImagePull", f'pull image "{IMAGE}": not found')), "ImageNotFound", "push it"),
    "unschedulable": (
        pod(
            conditions=[
                condition("PodScheduled", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", "False")
            ],
            **UNSCHEDULED,
        ),
        "Unschedulable",
        "too little cpu",
    ),
    "gated": (
        pod(conditions=[condition("PodScheduled", "SchedulingGated", "", "False")], **UNSCHEDULED),
        "Unschedulable",
        "a scheduling gate",
    ),
    "missing Secret": (
        pod(state=waiting("CreateContainerConfigError", 'secret "digits-env" not found')),
        "ConfigMissing",
        "there is no Secret digits-env in the namespace",
    ),
    "missing key": (
        pod(state=waiting("CreateContainerConfigError", "couldn't find key TOKEN in Secret ml/digits-env")),
        "ConfigMissing",
        "the Secret digits-env has no key TOKEN",
    ),
    "runs as root": (
        pod(
            state=waiting(
                "CreateContainerConfigError",
                'container has runAsNonRoot and image will run as root (pod: "x", container: main)',
            )
        ),
        "ConfigMissing",
        "a user with a number",
    ),
    "no command": (
        pod(
            state=waiting(
                "RunContainerError",
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
                'failed: unable to start container process: error during container init: exec: "pyhton": executable '
                "file not found in $PATH",
            )
        ),
        "CommandNotFound",
        "command 'pyhton' is not in the image",
    ),
    "image volume": (
        pod(state=waiting("CreateContainerError", "ImageVolumeMountFailed: failed to mount image")),
        "ModelVolumeFailed",
        "imageVolumes: off",
    ),
    "the courier's image": (
        pod(init=[{"name": "bring", "state": waiting("ImagePullBackOff", "Back-off: unauthorized")}]),
        "ImageUnauthorized",
        "bring: ",
    ),
    "the model does not come": (
        pod(
            phase="Pending",
            init=[
                {
                    "name": "bring",
                    "state": CRASHED,
                    "lastState": terminated(5, message="pulling\nghcr.io answers 401: no credentials"),
                }
            ],
        ),
        "CourierFailed",
        "bring failed before the start: ghcr.io answers 401: no credentials",
    ),
    "the sidecar ended": (
        pod(init=[{"name": "courier", "state": terminated(5, message="403 Forbidden")}], state=running(), server=False),
        "CourierFailed",
        "could not take the result to the registry: 403 Forbidden",
    ),
    "OOM": (crashed(137, "OOMKilled", container=LIMITED), "OOMKilled", "at the memory limit of 512Mi"),
    "OOM of the node": (crashed(137, "OOMKilled"), "OOMKilled", "the limit of the node's memory"),
    "exit code": (crashed(7, message="one\nValueError: bad\n"), "Error", "exited with code 7: ValueError: bad"),
    "signal": (crashed(143), "Error", "ended by signal 15 (Terminated)"),
    "ended well": (crashed(0, "Completed"), "Completed", ""),
    "no model": (crashed(3, message="loading\nno weights in model.bin"), "ModelNotLoaded", "no weights in model.bin"),
    "not executable": (crashed(126), "CannotStart", "126"),
    "a shell without the command": (crashed(127, message="sh: pyhton: not found"), "CommandNotFound", "pyhton"),
    "status unknown": (crashed(137, "ContainerStatusUnknown"), "NodeLost", "its node lost it"),
    "never again": (
        pod(phase="Failed", state=terminated(42, message="bad data"), server=False),
        "Error",
        "exited with code 42, which says: never again: bad data",
    ),
    "evicted": (
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        "Evicted",
        "The node was low on resource: memory.",
    ),
    "node lost": (
        pod(reason="NodeLost", message="Node node-1 which was running pod digits is unresponsive"),
        "NodeLost",
        "unresponsive",
    ),
    "node shut down": (
        pod(phase="Failed", reason="Terminated", message="Pod was terminated"),
        "NodeLost",
        "terminated",
    ),
    "preempted": (pod(conditions=[condition("DisruptionTarget", "PreemptionByScheduler")]), "Preempted", "priority"),
    "drained": (pod(conditions=[condition("DisruptionTarget", "EvictionByEvictionAPI")]), "Evicted", "drained"),
    "node gone": (pod(conditions=[condition("DisruptionTarget", "DeletionByPodGC")]), "NodeLost", "its node is gone"),
    "deadline": (pod(phase="Failed", reason="DeadlineExceeded"), "TimedOut", "raise `timeout`"),
    "GPU taken meanwhile": (
        pod(phase="Failed", reason="UnexpectedAdmissionError", message="Allocate failed: no GPU"),
        "Evicted",
        "Allocate failed: no GPU",
    ),
    "unknown": (pod(phase="Unknown", reason="", message=""), "NodeLost", "does not answer"),
}


@pytest.mark.parametrize("given, reason, words", WAITS.values(), ids=WAITS)
def test_what_a_status_says(given: Json, reason: str, words: str) -> None:
    why = why_pod(given)
    assert why is not None
    assert why.reason == reason
    assert words in why.message


HTTP = "HTTP probe failed with statuscode: 503"
REFUSED = 'Get "http://10.0.0.7:8080/v2/health/live": dial tcp 10.0.0.7:8080: connect: connection refused'
SILENT = 'Get "http://10.0.0.7:8080/v2/health/ready": context deadline exceeded (Client.Timeout exceeded)'
NODE = "MountVolume.SetUp failed for volume"

EVENTS = {
    "startup": (
        "Unhealthy",
        f"Startup probe failed: {HTTP}",
        "StartupProbeFailed",
        "GET /v2/health/ready: answers 503",
    ),
    "readiness": ("Unhealthy", f"Readiness probe failed: {SILENT}", "ReadinessProbeFailed", "no answer in time"),
    "liveness": ("Unhealthy", f"Liveness probe failed: {REFUSED}", "LivenessProbeFailed", "/live: connection refused"),
}


@pytest.mark.parametrize("code, said, reason, words", EVENTS.values(), ids=EVENTS)
def test_a_probe_is_told_by_an_event(code: str, said: str, reason: str, words: str) -> None:
    why = why_pod(pod(state=running(), started=True), [event(code, said)])
    assert why is not None
    assert why.reason == reason
    assert words in why.message


def test_a_failed_probe_of_the_container_before_says_nothing_of_this_one() -> None:
    old = event("Unhealthy", f"Readiness probe failed: {HTTP}", at="2026-01-01T09:00:00Z")
    assert why_pod(pod(state=running()), [old]) is None


def test_a_container_that_a_probe_killed_did_not_end_by_itself() -> None:
    events = [
        event("Unhealthy", f"Liveness probe failed: {REFUSED}", at=ENDED),
        event("Killing", "Container main failed liveness probe, will be restarted", at=ENDED),
    ]
    why = why_pod(crashed(137), events)
    assert why is not None
    assert why.reason == "LivenessProbeFailed"
    assert "connection refused" in why.message
    assert (bare := why_pod(crashed(143), events[1:])) is not None
    assert (bare.reason, bare.message) == ("LivenessProbeFailed", "its liveness probe failed")


MOUNTS = {
    "Secret": ("FailedMount", f'{NODE} "files" : secret "files" not found', "VolumeFailed", "no Secret files to mount"),
    "attach": ("FailedAttachVolume", "Multi-Attach error for volume pvc-1", "VolumeFailed", "Multi-Attach error"),
    "image": ("FailedMount", f'{NODE} "model" : image volume is not supported', "ModelVolumeFailed", "init container"),
    "network": ("FailedCreatePodSandBox", "plugin type=calico failed: no route", "NodeFailed", "no route"),
}


@pytest.mark.parametrize("code, said, reason, words", MOUNTS.values(), ids=MOUNTS)
def test_what_only_an_event_tells_of_a_container_that_is_being_made(
    code: str, said: str, reason: str, words: str
) -> None:
    begun = pod(phase="Pending")
    why = why_pod(begun, [event(code, said)])
    assert why is not None
    assert why.reason == reason
    assert words in why.message
    assert why_pod(begun, [event(code, said), event("Pulled", "Container image already present")]) is None


def test_a_pod_that_does_what_it_should_has_no_reason() -> None:
    assert why_pod(pod(state=running(), ready=True, started=True)) is None
    assert why_pod(pod(phase="Pending")) is None
    assert why_pod(pod(state=running(BEGAN), last=terminated(1), ready=True, restarts=1)) is None


def test_the_tail_that_was_read_stands_in_for_a_message() -> None:
    why = why_pod(crashed(1), tail="one\nlast words")
    assert why is not None
    assert why.message == "exited with code 1: last words"


def test_a_container_that_came_back_tells_of_its_probe_rather_than_of_its_last_end() -> None:
    now = pod(state=running(ENDED), last=terminated(1), restarts=1)
    why = why_pod(now, [event("Unhealthy", f"Readiness probe failed: {HTTP}", at=LATER)])
    assert why is not None
    assert why.reason == "ReadinessProbeFailed"
    # While it comes up its startup probe fails, whatever it is that ends it each time.
    why = why_pod(now, [event("Unhealthy", f"Startup probe failed: {HTTP}", at=LATER)])
    assert why is not None
    assert why.reason == "Error"
