"""The controllers of Deployments (which make their Pods without ReplicaSets between) and of StatefulSets."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.server import FakeKubernetes
from shipway.testing.kubernetes.storage import Object, clone

Tell = Callable[[Object, str, str], None]
HASH = "pod-template-hash"
REVISION = "controller-revision-hash"


def template_hash(obj: Object) -> str:
    """Which Pods are of the template as it is now."""
    return hashlib.sha256(json.dumps(obj["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]


def is_ready(pod: Object) -> bool:
    """It passes its probes and is not ending."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def pods_of(server: FakeKubernetes, owner: Object) -> list[Object]:
    """Oldest first; the ones that are ending too."""
    uid = owner["metadata"]["uid"]
    found = [
        pod
        for pod in server.peek("pods", owner["metadata"]["namespace"])
        if any(one["uid"] == uid for one in pod["metadata"].get("ownerReferences", ()))
    ]
    return sorted(found, key=lambda pod: int(pod["metadata"].get("annotations", {}).get("fake/number", 0)))


def make_pod(server: FakeKubernetes, owner: Object, name: Object, labels: Object, **spec: Any) -> Object:
    """One of the template of its owner. Raises Refusal."""
    template = clone(owner["spec"]["template"])
    metadata = template.get("metadata", {})
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    number = {"fake/number": str(server.storage.version)}
    metadata["annotations"] = {**metadata.get("annotations", {}), **name.pop("annotations", {}), **number}
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
    reference |= {"uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    metadata = {**metadata, **name, "ownerReferences": [reference]}
    pod = {"metadata": metadata, "spec": {**template["spec"], **spec}}
    return server.create("pods", pod, owner["metadata"]["namespace"])


def set_status(server: FakeKubernetes, plural: str, obj: Object, status: Object) -> None:
    """Write it where it is another one; its times do not make it one."""
    metadata = obj["metadata"]
    status = {**status, "observedGeneration": metadata["generation"]}
    if _timeless(status) != _timeless(obj.get("status", {})):
        server.change(
            plural,
            metadata["name"],
            lambda live: live.update(status=status),
            metadata["namespace"],
            subresource="status",
        )


def _timeless(status: Object) -> Object:
    made: Object = clone(status)
    for one in made.get("conditions", ()):
        one.pop("lastTransitionTime", None)
        one.pop("lastUpdateTime", None)
    return made


def deployments(server: FakeKubernetes, tell: Tell) -> None:
    """Every Deployment a step nearer to what it asks."""
    for one in server.peek("deployments"):
        if "deletionTimestamp" not in one["metadata"]:
            _deployment(server, one, tell)


def _deployment(server: FakeKubernetes, one: Object, tell: Tell) -> None:
    spec, namespace, current = one["spec"], one["metadata"]["namespace"], template_hash(one)
    wanted = spec["replicas"]
    pods = [pod for pod in pods_of(server, one) if "deletionTimestamp" not in pod["metadata"]]
    pods = [pod for pod in pods if pod["status"].get("phase") not in ("Failed", "Succeeded")]
    new = [pod for pod in pods if pod["metadata"]["labels"].get(HASH) == current]
    old = [pod for pod in pods if pod not in new]
    surge, unavailable = _bounds(spec, wanted)
    refusal = ""
    gone: list[Object] = new[wanted:]
    if spec["strategy"]["type"] == "Recreate":
        gone += old
        room = 0 if pods_of(server, one) and old else wanted - len(new)
    else:
        room = min(wanted - len(new), wanted + surge - len(pods))
        spare = sum(map(is_ready, pods)) - (wanted - unavailable)
        for pod in sorted(old, key=is_ready):
            if not is_ready(pod) or spare > 0:
                gone.append(pod)
                spare -= is_ready(pod)
    try:
        for _ in range(room):
            name = {"generateName": f"{one['metadata']['name']}-{current}-"}
            new.append(make_pod(server, one, name, {HASH: current}))
    except Refusal as error:
        refusal = error.message
    for pod in gone:
        server.delete("pods", pod["metadata"]["name"], namespace)
    if refusal and not any(each.get("reason") == "FailedCreate" for each in one["status"].get("conditions", ())):
        tell(one, "FailedCreate", f"Error creating: {refusal}")
    left = [pod for pod in [*old, *new] if pod not in gone]
    updated = [pod for pod in new if pod not in gone]
    _tell_deployment(server, one, left, updated, refusal)


def _bounds(spec: Object, wanted: int) -> tuple[int, int]:
    rolling = spec["strategy"].get("rollingUpdate", {})

    def number(value: int | str, rounded: Callable[[float], int]) -> int:
        return rounded(wanted * int(value[:-1]) / 100) if isinstance(value, str) else value

    surge = number(rolling.get("maxSurge", "25%"), math.ceil)
    unavailable = number(rolling.get("maxUnavailable", "25%"), math.floor)
    return surge, unavailable if surge or unavailable else 1


def _tell_deployment(
    server: FakeKubernetes, one: Object, pods: list[Object], updated: list[Object], refusal: str
) -> None:
    wanted, ready, now = one["spec"]["replicas"], sum(map(is_ready, pods)), server.writes.now()
    done = sum(map(is_ready, updated)) >= wanted and len(pods) == wanted
    _, unavailable = _bounds(one["spec"], wanted)
    counts = {"replicas": len(pods), "updatedReplicas": len(updated), "readyReplicas": ready}
    counts |= {"availableReplicas": ready, "unavailableReplicas": max(0, wanted - ready)}
    conditions = [
        _condition("Available", ready >= wanted - unavailable, "MinimumReplicasAvailable", now),
        _condition("Progressing", True, "NewReplicaSetAvailable" if done else "ReplicaSetUpdated", now),
    ]
    if refusal:
        # Each try names another Pod: only the first is told, or nothing would ever settle.
        known = [each for each in one["status"].get("conditions", ()) if each["type"] == "ReplicaFailure"]
        failure = {**_condition("ReplicaFailure", True, "FailedCreate", now), "message": refusal}
        conditions.append(known[0] if known else failure)
    status = {name: count for name, count in counts.items() if count}
    set_status(server, "deployments", one, {**status, "conditions": conditions})


def _condition(type: str, holds: bool, reason: str, now: str) -> Object:
    times = {"lastTransitionTime": now, "lastUpdateTime": now}
    return {"type": type, "status": str(holds), "reason": reason, "message": reason, **times}


def stateful_sets(server: FakeKubernetes, tell: Tell) -> None:
    """Every StatefulSet a step nearer to what it asks."""
    for one in server.peek("statefulsets"):
        if "deletionTimestamp" not in one["metadata"]:
            _stateful_set(server, one, tell)


def _stateful_set(server: FakeKubernetes, one: Object, tell: Tell) -> None:
    spec, name, namespace = one["spec"], one["metadata"]["name"], one["metadata"]["namespace"]
    current, wanted = template_hash(one), spec["replicas"]
    pods = {pod["metadata"]["name"]: pod for pod in pods_of(server, one)}
    names = [f"{name}-{index}" for index in range(wanted)]
    parallel = spec["podManagementPolicy"] == "Parallel"
    for index, each in enumerate(names):
        if each not in pods:
            labels = {REVISION: current, "statefulset.kubernetes.io/pod-name": each}
            labels["apps.kubernetes.io/pod-index"] = str(index)
            host = {"hostname": each, **({"subdomain": spec["serviceName"]} if spec.get("serviceName") else {})}
            try:
                pods[each] = make_pod(server, one, {"name": each}, labels, **host)
            except Refusal as error:
                tell(one, "FailedCreate", error.message)
                break
        if not parallel and not is_ready(pods[each]):
            break
    outdated = [each for each in reversed(names) if each in pods and _revision(pods[each]) != current]
    waits = any(not is_ready(pods[each]) for each in names if each in pods and each not in outdated)
    gone = [each for each in pods if each not in names]
    for each in gone + (outdated[:1] if outdated and not waits else []):
        if "deletionTimestamp" not in pods[each]["metadata"]:
            server.delete("pods", each, namespace)
    left = [pods[each] for each in names if each in pods]
    updated = sum(_revision(pod) == current for pod in left)
    counts = {"replicas": len(left), "readyReplicas": sum(map(is_ready, left)), "updatedReplicas": updated}
    before = current if updated == len(left) else one.get("status", {}).get("currentRevision", current)
    revisions = {"currentRevision": before, "updateRevision": current}
    available = {"availableReplicas": counts["readyReplicas"]}
    set_status(server, "statefulsets", one, {**counts, **available, **revisions})


def _revision(pod: Object) -> str:
    return str(pod["metadata"]["labels"].get(REVISION, ""))
