"""Pods as replicas. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shipway.bundle import Replica, ReplicaPhase
from shipway.cluster.kubernetes.names import REVISION, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.addresses import replica_address
from shipway.cluster.kubernetes.watch.ends import how
from shipway.cluster.kubernetes.watch.reasons import why_pod
from shipway.cluster.kubernetes.watch.seen import Seen, by_age

ENDED = ("Succeeded", "Failed")  # phases of a Pod


def replicas(seen: Seen) -> tuple[Replica, ...]:
    """Sorted by index. A server's Pod that ended for good (evicted) is a leftover: another one took its place."""
    pods = seen.pods
    if seen.is_job:
        pods = _newest_of_each_index(seen)
    else:
        pods = tuple(pod for pod in pods if fields.status(pod).get("phase") not in ENDED)
    return tuple(sorted((_replica(pod, seen) for pod in pods), key=lambda one: (one.index, one.name)))


def _newest_of_each_index(seen: Seen) -> tuple[Manifest, ...]:
    """An index that was tried again has several Pods; the newest speaks for it."""
    return tuple({seen.index_of(pod): pod for pod in by_age(seen.pods)}.values())


def _replica(pod: Manifest, seen: Seen) -> Replica:
    main, uid = fields.container_status(pod), fields.uid_of(pod)
    phase = _phase(pod, main)
    why = None
    if phase not in ("Ready", "Stopping"):
        tail = seen.tails.get(uid, "")
        why = why_pod(pod, seen.events_of(uid), tail=tail, allocatable=seen.allocatable, taints=seen.taints)
    ended = fields.state(main, "terminated") or fields.state(main, "terminated", before=True)
    code, number = how(ended) if ended else (None, None)
    return Replica(
        index=seen.index_of(pod),
        phase=phase,
        address=replica_address(pod, "http"),
        grpc_address=replica_address(pod, "grpc"),
        restarts=int(main.get("restartCount", 0)),
        exit_code=code,
        signal=number,
        reason=why.reason if why else "",
        message=why.message if why else "",
        revision=fields.label(pod, REVISION),
        name=fields.name_of(pod),
        node=str(fields.spec(pod).get("nodeName") or ""),
    )


def _phase(pod: Manifest, main: Mapping[str, Any]) -> ReplicaPhase:
    if fields.status(pod).get("phase") in ENDED:
        return "Exited"
    if fields.is_leaving(pod):
        return "Stopping"
    if fields.state(main, "terminated") and not fields.is_server(pod):
        return "Exited"  # the courier may still be at work
    if fields.state(main, "waiting").get("reason") == "CrashLoopBackOff":
        return "BackOff"
    if fields.holds(pod, "Ready"):
        return "Ready"
    # Without a startup probe nothing tells "not yet" from "not any more".
    began = fields.state(main, "running") and main.get("started") and fields.container(pod).get("startupProbe")
    return "NotReady" if began else "Starting"


def first_failed(pods: Sequence[Manifest]) -> Manifest | None:
    """The Pod whose own end came first: what failed a job, before others were ended because of it."""
    failed = [pod for pod in pods if fields.status(pod).get("phase") == "Failed"]

    def finished(pod: Manifest) -> tuple[bool, str, str]:
        ended = fields.state(fields.container_status(pod), "terminated")
        return not ended.get("exitCode"), str(ended.get("finishedAt") or "~"), fields.name_of(pod)

    return min(failed, key=finished, default=None)
