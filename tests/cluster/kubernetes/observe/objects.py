"""Objects as an API server gives them, cut to what is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shipway.cluster.kubernetes.names import HASH, OWNER, REVISION, WORKLOAD

IMAGE = "ghcr.io/team/digits@sha256:" + "ab" * 32
BEGAN, ENDED, LATER = "2026-01-01T10:00:05Z", "2026-01-01T10:00:09Z", "2026-01-01T10:00:20Z"

Json = dict[str, Any]


def pod(
    name: str = "digits-6d4cf56db6-x2k4p",
    *,
    phase: str = "Running",
    state: Json | None = None,
    last: Json | None = None,
    restarts: int = 0,
    ready: bool = False,
    started: bool = False,
    server: bool = True,
    created: str = "2026-01-01T10:00:00Z",
    conditions: Sequence[Json] = (),
    container: Mapping[str, Any] = {},
    init: Sequence[Json] = (),
    revision: str = "digits-00002",
    **more: Any,
) -> Json:
    """A Pod of one main container. ``more``: fields of its status; ``metadata``, ``spec`` are laid over its own."""
    metadata = {
        "name": name,
        "namespace": "ml",
        "uid": f"uid-{name}",
        "creationTimestamp": created,
        "labels": {OWNER: "0123456789ab", WORKLOAD: "digits", **({REVISION: revision} if server else {})},
        **more.pop("metadata", {}),
    }
    spec = {
        "restartPolicy": "Always" if server else "Never",
        "nodeName": "node-1",
        "containers": [
            {
                "name": "main",
                "image": IMAGE,
                "ports": [{"name": "http", "containerPort": 8080}],
                "startupProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
                "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
                "livenessProbe": {"httpGet": {"path": "/v2/health/live", "port": "http"}},
                **container,
            }
        ],
        "initContainers": [{"name": one["name"], "image": "ghcr.io/team/courier@sha256:cd"} for one in init],
        **more.pop("spec", {}),
    }
    main = {
        "name": "main",
        "image": IMAGE,
        "ready": ready,
        "started": started,
        "restartCount": restarts,
        "state": state or {"waiting": {"reason": "ContainerCreating"}},
        "lastState": last or {},
    }
    status = {
        "phase": phase,
        "podIP": "10.0.0.7",
        "hostIP": "192.168.1.5",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *conditions],
        "containerStatuses": [main],
        "initContainerStatuses": list(init),
        **more,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def running(since: str = BEGAN) -> Json:
    return {"running": {"startedAt": since}}


def terminated(code: int, reason: str = "Error", message: str = "") -> Json:
    return {
        "terminated": {"exitCode": code, "reason": reason, "message": message, "startedAt": BEGAN, "finishedAt": ENDED}
    }


def event(
    reason: str, message: str, *, of: str = "uid-digits-6d4cf56db6-x2k4p", at: str = LATER, kind: str = "Pod"
) -> Json:
    return {
        "metadata": {"name": f"{of}.{reason}.{at}", "creationTimestamp": at},
        "involvedObject": {"kind": kind, "uid": of},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


def deployment(replicas: int = 1, *, generation: int = 3, conditions: Sequence[Json] = (), **status: Any) -> Json:
    """A Deployment that is rolled out, unless ``status`` says otherwise."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "digits",
            "namespace": "ml",
            "uid": "uid-digits",
            "generation": generation,
            "creationTimestamp": "2026-01-01T09:00:00Z",
            "labels": {OWNER: "0123456789ab", WORKLOAD: "digits"},
            "annotations": {HASH: "sha256:1"},
        },
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {REVISION: "digits-00002"}},
                "spec": {"containers": [{"name": "main", "image": IMAGE}]},
            },
        },
        "status": {"observedGeneration": generation, "conditions": list(conditions), **counts, **status},
    }


def job(conditions: Sequence[Json] = (), *, completions: int = 1, courier: bool = True, **status: Any) -> Json:
    init = [{"name": "courier", "image": "ghcr.io/team/courier@sha256:cd"}] if courier else []
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "digits",
            "namespace": "ml",
            "uid": "uid-digits",
            "creationTimestamp": "2026-01-01T09:00:00Z",
            "labels": {OWNER: "0123456789ab", WORKLOAD: "digits"},
            "annotations": {HASH: "sha256:1"},
        },
        "spec": {
            "completions": completions,
            "activeDeadlineSeconds": 600,
            "template": {"spec": {"containers": [{"name": "main", "image": IMAGE}], "initContainers": init}},
        },
        "status": {"startTime": "2026-01-01T09:00:01Z", "conditions": list(conditions), **status},
    }


def condition(type: str, reason: str = "", message: str = "", status: str = "True") -> Json:
    return {"type": type, "status": status, "reason": reason, "message": message, "lastTransitionTime": LATER}
