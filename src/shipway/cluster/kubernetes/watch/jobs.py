"""Jobs as the rest of Shipway sees them. Pure.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup: ``Complete`` and
``Failed`` come when all Pods have ended; ``SuccessCriteriaMet`` and ``FailureTarget`` come before, and end nothing yet.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from shipway.bundle import WorkloadPhase
from shipway.cluster.kubernetes.names import COURIER, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.creating import why_not_created
from shipway.cluster.kubernetes.watch.ends import last_words, output_of
from shipway.cluster.kubernetes.watch.reasons import why_pod
from shipway.cluster.kubernetes.watch.replicas import ENDED, first_failed
from shipway.cluster.kubernetes.watch.seen import Seen, by_age
from shipway.cluster.kubernetes.watch.why import Why, quoted

_TAIL = 30  # lines
# matchPodFailurePolicy of k8s.io/kubernetes pkg/controller/job/pod_failure_policy.go
_DISRUPTED = re.compile(r"Pod (?:[^/\s]+/)?(\S+) has condition DisruptionTarget ")


class JobState(NamedTuple):
    """What is particular of a job in an Observed."""

    phase: WorkloadPhase
    why: Why | None = None
    tail: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


def output_reference(seen: Seen) -> str:
    """Where the result of a job is, by digest: of its lowest index that left one; empty where none did."""
    for pod in sorted(seen.pods, key=seen.index_of):
        if found := output_of(fields.state(fields.container_status(pod), "terminated")):
            return found
    return ""


def why_foreign(reference: str, repository: str) -> str:
    """Why a result is not taken: it lies elsewhere than where the courier pushes results; empty when it does not."""
    if re.fullmatch(rf"{re.escape(repository)}@sha256:[0-9a-f]{{64}}", reference):
        return ""
    return (
        f"its termination message names {quoted(reference)} as its result, which is not in {repository}: the job's own "
        "code must not write to /dev/termination-log"
    )


def job_state(seen: Seen, main: Manifest) -> JobState:
    """``seen`` of a Job. Of one that is over, Running until its result, or its log, is here."""
    began = fields.time(fields.status(main).get("startTime"))
    complete, failed = fields.condition(main, "Complete"), fields.condition(main, "Failed")
    over = complete.get("status") == "True" or failed.get("status") == "True"
    # The watch of Jobs may be ahead of that of Pods, and what these say is needed.
    if over and any(fields.status(pod).get("phase") not in ENDED for pod in seen.pods):
        return JobState("Running", None, "", began)
    if complete.get("status") == "True":
        return _succeeded(seen, main, began)
    if over:
        ended = fields.time(failed.get("lastTransitionTime"))
        why, tail = _why_failed(seen, str(failed.get("reason", "")), str(failed.get("message", "")), main)
        return JobState("Running", None, "", began) if tail is None else JobState("Failed", why, tail, began, ended)
    started = any(fields.state(fields.container_status(pod), "running") or _ended(pod) for pod in seen.pods)
    return JobState("Running" if started else "Preparing", _why_waiting(seen), "", began)


def _succeeded(seen: Seen, main: Manifest, began: datetime | None) -> JobState:
    ended = fields.time(fields.status(main).get("completionTime"))
    if seen.output:
        return JobState("Succeeded", None, "", began, ended)
    if seen.output_refused:
        return JobState("Failed", Why("OutputRefused", seen.output_refused), "", began, ended)
    if output_reference(seen):
        why = Why("OutputDelayed", seen.output_delayed) if seen.output_delayed else None
        return JobState("Running", why, "", began)
    if not fields.container(fields.spec(main).get("template") or {}, COURIER) or _left_nothing(seen, main):
        return JobState("Succeeded", None, "", began, ended)
    lost = "it ended well, but no Pod is left that says where its result is; run it again"
    return JobState("Failed", Why("OutputLost", lost), "", began, ended)


def _left_nothing(seen: Seen, main: Manifest) -> bool:
    """Whether a Pod that would have pushed a result is there, and says that there was none."""
    each = "backoffLimitPerIndex" in fields.spec(main)
    ends = (
        fields.state(fields.container_status(pod), "terminated") for pod in seen.pods if each or not seen.index_of(pod)
    )
    return any(ended.get("exitCode") == 0 for ended in ends)


def lacks_tail(pod: Manifest, tail: str | None) -> bool:
    """Whether the end of its log is to be read: its last end was bad, and neither its status nor anybody has told."""
    status = fields.container_status(pod)
    ended = fields.state(status, "terminated") or fields.state(status, "terminated", before=True)
    if tail is not None or not ended.get("exitCode"):
        return False
    return not last_words(ended) and ended.get("reason") not in (
        "StartError",
        "ContainerCannotRun",
        "ContainerStatusUnknown",
    )


def cron_state(seen: Seen, main: Manifest) -> JobState:
    """``seen`` of a CronJob: it is never done."""
    last = fields.time(fields.status(main).get("lastScheduleTime"))
    held = Why("", "suspended") if fields.spec(main).get("suspend") else None
    newest = by_age(seen.pods)[-1:]
    if newest and fields.status(newest[0]).get("phase") == "Failed":
        held = why_pod(newest[0], seen.events_of(fields.uid_of(newest[0])))
    return JobState("Running", held, "", last or fields.created(main))


def _why_failed(seen: Seen, reason: str, message: str, main: Manifest) -> tuple[Why, str | None]:
    """Of a job, and the end of the log of the replica at fault; None while that is still being read."""
    guilty = first_failed(seen.pods)
    tail: str | None = ""
    if guilty is not None:
        uid = fields.uid_of(guilty)
        known = seen.tails.get(uid)
        words = last_words(fields.state(fields.container_status(guilty), "terminated"), known or "")
        tail = None if lacks_tail(guilty, known) else "\n".join(words.rstrip("\n").split("\n")[-_TAIL:])
    if reason == "DeadlineExceeded":
        limit = fields.spec(main).get("activeDeadlineSeconds")
        return Why("TimedOut", f"took longer than {limit} s; raise `timeout`, or make it shorter"), tail or ""
    if reason == "PodFailurePolicy" and (found := _DISRUPTED.match(message)):
        # That Pod is gone by now, and those that are left were ended because of it.
        return _why_disrupted(seen, found[1]), ""
    why = why_pod(guilty, seen.events_of(fields.uid_of(guilty)), tail=tail or "") if guilty is not None else None
    if why is None:
        told = quoted(message) or reason
        return Why("Error", f"the job failed ({reason}: {told}), and none of its Pods is left to say why"), tail
    if guilty is not None and int(fields.spec(main).get("completions") or 1) > 1:
        why = Why(why.reason, f"replica {seen.index_of(guilty)}: {why.message}")
    return why, tail


def _why_disrupted(seen: Seen, name: str) -> Why:
    """A Pod of a gang was drained, preempted or lost with its node, and all end with it."""
    pod = next((one for one in seen.pods if fields.name_of(one) == name), None)
    known = why_pod(pod) if pod is not None else None
    if known is not None and known.reason in ("Evicted", "NodeLost", "Preempted"):
        return Why(known.reason, f"{name}: {known.message}")
    return Why("Evicted", f"{name} was put out of its node (drained, preempted or lost), and all others end with it")


def _why_waiting(seen: Seen) -> Why | None:
    """Why a job that should run does not, or not wholly."""
    if not seen.pods and (message := seen.refusal()):
        return why_not_created(message)
    for pod in by_age(seen.pods):
        if fields.is_leaving(pod) or fields.status(pod).get("phase") in ("Succeeded", "Failed"):
            continue
        events = seen.events_of(fields.uid_of(pod))
        why = why_pod(pod, events, allocatable=seen.allocatable, taints=seen.taints)
        if why is not None and why.reason != "Completed":
            return why
    return None


def _ended(pod: Manifest) -> bool:
    return bool(fields.state(fields.container_status(pod), "terminated"))
