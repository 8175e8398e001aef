"""The real reason why a Pod does not run as it should, out of its status and its events. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.cluster.kubernetes.names import COURIER, MAIN, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.ends import last_words, why_ended, why_not_started, why_probe
from shipway.cluster.kubernetes.watch.pulls import PULLING, why_pull
from shipway.cluster.kubernetes.watch.scheduling import why_unschedulable
from shipway.cluster.kubernetes.watch.why import Why, quoted

_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:[^/\s]+/)?(\S+)$")
_ABSENT = re.compile(r'(secret|configmap)s? "([^"]+)" not found')
_ROOT = re.compile(r"runAsNonRoot and image (?:has non-numeric user|will run as root)")
_IMAGE_VOLUME = re.compile(r"ImageVolumeMountFailed|image volume|failed to mount image", re.I)
_DISRUPTIONS = {
    "PreemptionByScheduler": ("Preempted", "a Pod of higher priority took its place; another one is started"),
    "DeletionByTaintManager": ("Evicted", "its node got a taint that it does not tolerate; another one is started"),
    "EvictionByEvictionAPI": ("Evicted", "its node is being drained; another one is started"),
    "DeletionByPodGC": ("NodeLost", "its node is gone; another one is started"),
    "TerminationByKubelet": ("Evicted", "its node took the room back, or is shut down; another one is started"),
}


def why_pod(
    pod: Manifest,
    events: Sequence[Manifest] = (),
    *,
    tail: str = "",
    allocatable: Mapping[str, int] | None = None,
    taints: Mapping[str, int] | None = None,
) -> Why | None:
    """``events`` are the Pod's, oldest first; ``tail`` the end of the log of its main container's last end. None: it
    does what it should, or has only begun."""
    disrupted = _disrupted(pod)
    if disrupted is not None:
        return disrupted
    scheduled = fields.condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and not fields.spec(pod).get("nodeName"):
        if scheduled.get("reason") == "SchedulingGated":
            return Why("Unschedulable", "a scheduling gate holds it back; whoever set the gate lets it go")
        return why_unschedulable(str(scheduled.get("message", "")), allocatable, taints)
    main = fields.container_status(pod)
    # Once that has ended, its own end is what counts: how its sidecar was told to go is no reason of anything.
    over = bool(fields.state(main, "terminated")) and not fields.is_server(pod)
    for one in () if over else fields.init_statuses(pod):
        found = _container(pod, str(one.get("name")), one, events, "")
        if found is not None:
            return found
    # A sidecar of somebody's webhook (a mesh) can hold a Pod back as well: look at ours first.
    found = _container(pod, MAIN, main, events, tail)
    return found or _around(pod, main, events)


def _disrupted(pod: Manifest) -> Why | None:
    status = fields.status(pod)
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    if reason == "Evicted":
        return Why("Evicted", f"its node evicted it ({quoted(message)}); ask for what it needs in `resources`")
    if reason in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated"):
        return Why("NodeLost", f"its node is gone ({quoted(message) or reason}); another one is started")
    if reason == "DeadlineExceeded":
        return Why("TimedOut", "it took longer than its timeout; raise `timeout`, or make it shorter")
    if reason in ("UnexpectedAdmissionError", "NodeAffinity", "NodePorts") or reason.startswith("OutOf"):
        return Why(
            "Evicted", f"the node that was chosen did not take it ({quoted(message) or reason}); it is tried again"
        )
    target = fields.condition(pod, "DisruptionTarget")
    if target.get("status") == "True" and str(target.get("reason")) in _DISRUPTIONS:
        code, told = _DISRUPTIONS[str(target["reason"])]
        return Why(code, told)
    if status.get("phase") == "Unknown":
        return Why(
            "NodeLost", f"its node does not answer ({quoted(message) or reason}); Kubernetes replaces it in time"
        )
    return None


def _container(
    pod: Manifest, name: str, status: Mapping[str, Any], events: Sequence[Manifest], tail: str
) -> Why | None:
    waiting = fields.state(status, "waiting")
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in PULLING:
        image = str(fields.container(pod, name).get("image") or status.get("image") or "")
        failed = [str(one.get("message", "")) for one in events if "Failed to pull" in str(one.get("message", ""))]
        return _of_part(name, why_pull(reason, message, image, failed))
    if reason == "CreateContainerConfigError":
        return _of_part(name, _why_config(message))
    if reason == "CreateContainerError" and _IMAGE_VOLUME.search(message):
        return Why("ModelVolumeFailed", _image_volume(message))
    if reason in ("CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError"):
        return _of_part(name, why_not_started(message))
    ended = fields.state(status, "terminated") or fields.state(status, "terminated", before=True)
    if not ended or (status.get("ready") and fields.state(status, "running")):
        return None
    if name != MAIN:
        return _why_courier(name, ended) if ended.get("exitCode") else None
    now = _unhealthy(pod, status, events) if fields.state(status, "running") else None
    if now is not None and now.reason != "StartupProbeFailed":  # one that comes up fails it; why it ended says more
        return now
    return why_ended(pod, name, ended, tail=tail, events=events)


def _around(pod: Manifest, main: Mapping[str, Any], events: Sequence[Manifest]) -> Why | None:
    """What only events tell."""
    if fields.state(main, "running"):
        return None if main.get("ready") else _unhealthy(pod, main, events)
    for event in reversed(events):
        said, reason = str(event.get("message", "")), event.get("reason")
        if reason in ("Scheduled", "Pulled", "Created", "Started"):
            return None  # it went on since
        if reason in ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedBinding", "ProvisioningFailed"):
            return _why_volume(said)
        if reason == "FailedCreatePodSandBox":
            return Why(
                "NodeFailed", f"its node cannot give it a network or a sandbox ({quoted(said)}); look at the node"
            )
    return None


def _unhealthy(pod: Manifest, main: Mapping[str, Any], events: Sequence[Manifest]) -> Why | None:
    """The newest failed probe of the container that runs now."""
    began = fields.time(fields.state(main, "running").get("startedAt"))
    for event in reversed(events):
        if (found := why_probe(event, pod)) and (began is None or fields.event_time(event) >= began):
            return found
    return None


def _why_config(message: str) -> Why:
    if found := _KEY.search(message):
        return Why("ConfigMissing", f"the {found[2]} {found[3]} has no key {found[1]}; add it, or mend `env`")
    if found := _ABSENT.search(message):
        kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
        return Why("ConfigMissing", f"there is no {kind} {found[2]} in the namespace; make it, or mend `env`")
    if _ROOT.search(message):
        return Why("ConfigMissing", f"the image wants to run as root ({quoted(message)}); give it a user with a number")
    return Why("ConfigMissing", f"the container cannot be configured ({quoted(message)}); mend what it names")


def _why_volume(message: str) -> Why:
    if found := _ABSENT.search(message):
        kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
        return Why("VolumeFailed", f"there is no {kind} {found[2]} to mount; make it, or mend `volumes`")
    if _IMAGE_VOLUME.search(message):
        return Why("ModelVolumeFailed", _image_volume(message))
    return Why("VolumeFailed", f"a volume cannot be mounted ({quoted(message)}); check `volumes` and the storage class")


def _image_volume(message: str) -> str:
    return (
        f"the node cannot mount the model as an image volume ({quoted(message)}); set `imageVolumes: off` of the "
        "cluster, and an init container brings it"
    )


def _why_courier(name: str, ended: Mapping[str, Any]) -> Why:
    """The courier brings models and inputs before the start, and takes a job's result away at its end."""
    line = last_words(ended).rstrip().rpartition("\n")[2].strip()
    said = f": {quoted(line)}" if line else f" (exit code {ended.get('exitCode')})"
    if name == COURIER:
        return Why(
            "CourierFailed", f"the courier could not take the result to the registry{said}; check the push secret"
        )
    return Why("CourierFailed", f"{name} failed before the start{said}; check the registry and the pull secret")


def _of_part(name: str, why: Why) -> Why:
    return why if name == MAIN else Why(why.reason, f"{name}: {why.message}")
