"""From the objects of a workload to what the rest of Shipway sees. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shipway.bundle import Observed, Replica
from shipway.cluster.kubernetes.names import HASH, REVISION, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.addresses import addresses
from shipway.cluster.kubernetes.watch.creating import why_not_created
from shipway.cluster.kubernetes.watch.ends import last_words
from shipway.cluster.kubernetes.watch.jobs import cron_state, job_state
from shipway.cluster.kubernetes.watch.reasons import why_pod
from shipway.cluster.kubernetes.watch.replicas import ENDED, replicas
from shipway.cluster.kubernetes.watch.scaling import why_no_metrics
from shipway.cluster.kubernetes.watch.seen import Seen
from shipway.cluster.kubernetes.watch.why import Why


def observed(seen: Seen) -> Observed:
    """The workload as the rest of Shipway sees it."""
    made = _observed(seen)
    return replace(made, notes=(*made.notes, seen.stale_because)) if seen.stale_because else made


def _observed(seen: Seen) -> Observed:
    main = seen.main
    if main is None:
        return Observed(seen.name, "", "Stopping", replicas(seen), stale_since=seen.stale_since)
    if fields.is_leaving(main):
        hash = fields.annotation(main, HASH)
        return Observed(seen.name, hash, "Stopping", replicas(seen), stale_since=seen.stale_since)
    return _job(seen, main) if seen.is_job else _server(seen, main)


def _job(seen: Seen, main: Manifest) -> Observed:
    state = job_state(seen, main) if main.get("kind") == "Job" else cron_state(seen, main)
    return Observed(
        name=seen.name,
        hash=fields.annotation(main, HASH),
        phase=state.phase,
        replicas=replicas(seen),
        reason=state.why.reason if state.why else "",
        message=state.why.message if state.why else "",
        tail=state.tail,
        output=seen.output,
        environment=_environment(main),
        stale_since=seen.stale_since,
        started_at=state.started_at,
        finished_at=state.finished_at,
    )


def _server(seen: Seen, main: Manifest) -> Observed:
    wanted = int(fields.spec(main).get("replicas", 1))
    revision = fields.label(fields.spec(main).get("template") or {}, REVISION)
    found = replicas(seen)
    # What the controllers of the cluster have not looked at yet says nothing of what is wanted now.
    known = int(fields.status(main).get("observedGeneration", 0)) >= int(fields.metadata(main).get("generation", 0))
    newest = [one for one in found if one.revision == revision]
    why, held = _why_server(seen, main, newest, wanted), held_back(newest)
    return Observed(
        name=seen.name,
        hash=fields.annotation(main, HASH),
        phase="Running" if found or (known and not wanted) else "Preparing",
        replicas=found,
        reason=why.reason if why else "",
        message=why.message if why else "",
        tail=_tail(seen, held.name) if held else "",
        environment=_environment(main),
        notes=_notes(seen),
        revision=revision,
        wanted=wanted,
        rolled_out=known and _rolled_out(main, wanted),
        addresses=addresses(seen.service, seen.fronts, seen.pods),
        stale_since=seen.stale_since,
        started_at=fields.created(main),
    )


def _rolled_out(main: Manifest, wanted: int) -> bool:
    """As ``kubectl rollout status`` judges it."""
    status = fields.status(main)
    count = {
        name: int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    }
    if main.get("kind") == "StatefulSet":
        same = status.get("currentRevision", "") == status.get("updateRevision", "")
        exchanged, ready = same or count["updatedReplicas"] >= wanted, count["readyReplicas"]
    else:
        exchanged, ready = count["updatedReplicas"] >= wanted, count["availableReplicas"]
    return exchanged and ready >= wanted and count["replicas"] <= wanted


def _why_server(seen: Seen, main: Manifest, newest: Sequence[Replica], wanted: int) -> Why | None:
    """Of the whole service: Pods cannot be made, or its newest replicas are held back."""
    refused = fields.condition(main, "ReplicaFailure")
    if refused.get("status") == "True":
        return why_not_created(str(refused.get("message", "")))
    if len(newest) < wanted and (message := seen.refusal()):
        return why_not_created(message)
    held = held_back(newest)
    if fields.condition(main, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        told = f": {held.message or held.reason}" if held else ""
        return Why("ProgressDeadlineExceeded", f"not ready in time{told}")
    return Why(held.reason, held.message) if held else None


def held_back(newest: Sequence[Replica]) -> Replica | None:
    """The replica that says why the newest revision is not ready."""
    return next((one for one in newest if one.reason), None)


def _tail(seen: Seen, name: str) -> str:
    """The end of the log of the last end of that Pod's main container."""
    pod = next(one for one in seen.pods if fields.name_of(one) == name)
    status = fields.container_status(pod)
    ended = fields.state(status, "terminated") or fields.state(status, "terminated", before=True)
    return last_words(ended, seen.tails.get(fields.uid_of(pod), "")) if ended else ""


def _notes(seen: Seen) -> tuple[str, ...]:
    """What cannot be honoured, and which Pods the cluster ended by itself."""
    notes = [why_no_metrics(seen.autoscaler)] if seen.autoscaler is not None else []
    for pod in seen.pods:
        if fields.status(pod).get("phase") in ENDED and (why := why_pod(pod)):
            notes.append(f"{fields.name_of(pod)}: {why.message}")
    return tuple(note for note in notes if note)


def _environment(main: Manifest) -> str:
    """Its image, in words."""
    spec = fields.spec(main)
    template = ((spec.get("jobTemplate") or {}).get("spec") or spec).get("template") or {}
    image = str(fields.container(template).get("image") or "")
    name, _, digest = image.partition("@sha256:")
    return f"image {name}@sha256:{digest[:12]}" if digest else f"image {image}" if image else ""
