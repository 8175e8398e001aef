"""The controller of Jobs: indexes, retries, what a failure means, deadlines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.deploying import Tell, make_pod, pods_of
from shipway.testing.kubernetes.server import FakeKubernetes
from shipway.testing.kubernetes.storage import Object

INDEX = "batch.kubernetes.io/job-completion-index"


def reconcile(server: FakeKubernetes, tell: Tell) -> None:
    """Every Job a step nearer to its end."""
    for one in server.peek("jobs"):
        if "deletionTimestamp" not in one["metadata"] and not _over(one):
            _job(server, one, tell)


def has_deadline(server: FakeKubernetes) -> bool:
    """Whether a Job that is not over will end because of the time."""
    return any("activeDeadlineSeconds" in one["spec"] and not _over(one) for one in server.peek("jobs"))


def _over(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _job(server: FakeKubernetes, job: Object, tell: Tell) -> None:
    pods = [pod for pod in pods_of(server, job) if "deletionTimestamp" not in pod["metadata"]]
    status = job.get("status", {})
    now = server.writes.now()
    started = status.get("startTime", now)
    succeeded, failed, active = (_in(pods, phase) for phase in (("Succeeded",), ("Failed",), ("Pending", "Running")))
    counts: Object = {"startTime": started}
    verdict = _verdict(server, job, succeeded, failed, started)
    if verdict is None:
        active = [*active, *_make(server, job, succeeded, failed, active, tell)]
    else:
        for pod in active:
            server.delete("pods", pod["metadata"]["name"], pod["metadata"]["namespace"])
        active = []
        type, reason, message = verdict
        early = "SuccessCriteriaMet" if type == "Complete" else "FailureTarget"
        texts = {"reason": reason, "message": message}
        times = {"lastProbeTime": now, "lastTransitionTime": now}
        counts["conditions"] = [{"type": one, "status": "True", **texts, **times} for one in (early, type)]
        if type == "Complete":
            counts["completionTime"] = now
    for name, found in (("active", active), ("succeeded", succeeded), ("failed", failed)):
        if found:
            counts[name] = len(found)
    if job["spec"]["completionMode"] == "Indexed" and succeeded:
        counts["completedIndexes"] = ",".join(str(one) for one in sorted(map(_index, succeeded)))
    if counts != status:
        metadata = job["metadata"]
        server.change(
            "jobs",
            metadata["name"],
            lambda live: live.update(status=counts),
            metadata["namespace"],
            subresource="status",
        )


def _in(pods: Iterable[Object], phases: tuple[str, ...]) -> list[Object]:
    return [pod for pod in pods if pod["status"].get("phase") in phases]


def _index(pod: Object) -> int:
    return int(pod["metadata"].get("labels", {}).get(INDEX, 0))


def _verdict(
    server: FakeKubernetes, job: Object, succeeded: list[Object], failed: list[Object], started: str
) -> tuple[str, str, str] | None:
    """How it ends, if it does: type, reason and message of its last condition."""
    spec = job["spec"]
    deadline = spec.get("activeDeadlineSeconds")
    began = datetime.fromisoformat(started.replace("Z", "+00:00"))
    if len({_index(pod) for pod in succeeded} if _indexed(spec) else succeeded) >= spec.get("completions", 1):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if deadline is not None and (server.now().astimezone(UTC) - began).total_seconds() >= deadline:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    counted = [pod for pod in failed if _action(spec, pod) != "Ignore"]
    if any(_action(spec, pod) == "FailJob" for pod in counted):
        return "Failed", "PodFailurePolicy", "Container main failed with an exit code that ends the job"
    if "backoffLimitPerIndex" in spec:
        lost = {_index(pod) for pod in counted if _lost(spec, counted, _index(pod))}
        done = lost | {_index(pod) for pod in succeeded}
        if len(lost) > int(spec.get("maxFailedIndexes", spec["completions"])):
            return (
                "Failed",
                "MaxFailedIndexesExceeded",
                "Job has exceeded the specified maximal number of failed indexes",
            )
        return ("Failed", "FailedIndexes", "Job has failed indexes") if len(done) >= spec["completions"] else None
    if len(counted) > spec["backoffLimit"]:
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    return None


def _indexed(spec: Object) -> bool:
    return bool(spec["completionMode"] == "Indexed")


def _lost(spec: Object, failed: list[Object], index: int) -> bool:
    mine = [pod for pod in failed if _index(pod) == index]
    never = any(_action(spec, pod) == "FailIndex" for pod in mine)
    return never or len(mine) > _limit(spec)


def _limit(spec: Object) -> int:
    return int(spec["backoffLimitPerIndex"] if "backoffLimitPerIndex" in spec else spec["backoffLimit"])


def _action(spec: Object, pod: Object) -> str:
    """What its podFailurePolicy makes of a failed Pod."""
    main = pod["status"]["containerStatuses"][0]
    code = main["state"].get("terminated", {}).get("exitCode", 0)
    holding = {(one["type"], one["status"]) for one in pod["status"].get("conditions", ())}
    for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
        if codes := rule.get("onExitCodes"):
            if (code in codes["values"]) == (codes["operator"] == "In") and code:
                return str(rule["action"])
        elif any((one["type"], one.get("status", "True")) in holding for one in rule.get("onPodConditions", ())):
            return str(rule["action"])
    return "Count"


def _make(
    server: FakeKubernetes,
    job: Object,
    succeeded: list[Object],
    failed: list[Object],
    active: list[Object],
    tell: Tell,
) -> list[Object]:
    spec, name = job["spec"], job["metadata"]["name"]
    if spec.get("suspend"):
        return []
    completions = spec.get("completions", spec["parallelism"])
    busy = {_index(pod) for pod in [*succeeded, *active]} if _indexed(spec) else set()
    lost = {_index(pod) for pod in failed if "backoffLimitPerIndex" in spec and _lost(spec, failed, _index(pod))}
    if _indexed(spec):
        free = [index for index in range(completions) if index not in busy | lost]
    else:
        free = list(range(completions - len(succeeded) - len(active)))
    made = []
    for index in free[: spec["parallelism"] - len(active)]:
        labels = {INDEX: str(index)} if _indexed(spec) else {}
        head: Object = {"generateName": f"{name}-{index}-" if _indexed(spec) else f"{name}-"}
        head["annotations"] = dict(labels)
        host = {"hostname": f"{name}-{index}"} if _indexed(spec) else {}
        try:
            made.append(make_pod(server, job, head, labels, **host))
        except Refusal as error:
            if not server.peek("events", job["metadata"]["namespace"]):
                tell(job, "FailedCreate", f"Error creating: {error.message}")
            break
    return made
