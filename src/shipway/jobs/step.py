"""The next step of a job: ``step(job, seen, now) -> Decision``.

Rule 1: everything that decides about a run lives here; the controller only does what it is told.
Rule 2: the same world gives the same decision, so the controller may be killed between any two lines.

    (spec changed, no equal run) --start--> Running --exit 0--> pack --> Succeeded
    (an equal run is known) ----reuse----------------------------------> Succeeded
                                            Running --failed--> retry after back-off, or fail --> Failed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from shipway.bundle import Observed, Replica
from shipway.jobs.changes import Earlier, changes, in_words
from shipway.jobs.fingerprint import fingerprint
from shipway.kinds import RETRAIN, CacheTtl, ModelJob, ModelVersion, Run

_FIRST_RETRY = 1.0  # seconds; doubles with each attempt
_LONGEST_RETRY = 60.0

NEVER_AGAIN = 42  # the code's own word that it would fail the same way again: docs/contract.md
_DISRUPTED = frozenset({"Evicted", "NodeLost", "Preempted"})  # the cluster ended it, and not the code
_MOST_DISRUPTIONS = 10  # a job that is evicted more often than that asks for what no node has

Action = Literal["rest", "start", "run", "wait", "pack", "reuse", "retry", "fail"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the controller read: the present components (``declared``: as people read them), versions, the attempt
    under way, and what the last run was made of where the job itself does not remember (it was deleted since)."""

    components: Mapping[str, str]
    declared: Mapping[str, Any] = field(default_factory=dict)
    versions: tuple[ModelVersion, ...] = ()
    observed: Observed | None = None
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, why, and when to look again. ``run`` is the run that the action is about."""

    action: Action
    reason: str
    message: str = ""
    run: Run | None = None
    version: ModelVersion | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    wake_at: datetime | None = None


def step(job: ModelJob, seen: Seen, now: datetime) -> Decision:
    """Decide about one job. Pure; ``now`` is the clock."""
    wanted = fingerprint(seen.components)
    run = job.status.run
    retrain = job.metadata.annotations.get(RETRAIN, "")
    under_way = run is not None and job.status.phase in ("Running", "Packing")
    if run is not None and under_way and _answers(run, wanted, retrain):
        return _follow(job, run, seen.observed, now)
    if not under_way and _settled(job, retrain):
        return Decision("rest", "UpToDate")
    return _begin(job, seen, wanted, retrain, now)


def _answers(run: Run, wanted: str, retrain: str) -> bool:
    return run.fingerprint == wanted and run.retrain == retrain


def _settled(job: ModelJob, retrain: str) -> bool:
    # Not by the fingerprint: a new interpreter must not make every old job train when the hub starts.
    ended = job.status.phase in ("Succeeded", "Failed")
    return ended and job.status.observed_generation == job.metadata.generation and _handled(job) == retrain


def _handled(job: ModelJob) -> str:
    return job.status.run.retrain if job.status.run else ""


def _begin(job: ModelJob, seen: Seen, wanted: str, retrain: str, now: datetime) -> Decision:
    asked_again = retrain != _handled(job)
    if not asked_again and job.spec.cache is not False:
        found = _reusable(job, seen.versions, wanted, now)
        data: dict[str, Any] = {"fingerprint": wanted}
        if found is not None:
            message = f"job fingerprint seen in {job.spec.model}:{found.number}"
            told = {**data, "model": job.spec.model, "version": found.number, "run": found.run}
            return Decision("reuse", "CacheHit", message, version=found, data=told)
        last = job.status.run
        if job.spec.model is None and last is not None and last.exit_code == 0 and last.fingerprint == wanted:
            told = {**data, "run": last.id}
            return Decision("reuse", "CacheHit", f"job fingerprint seen in run {last.id}", data=told)
    run = Run(
        id=f"{job.name}-{job.metadata.uid[:8]}-{job.status.runs + 1}",
        fingerprint=wanted,
        components=dict(seen.components),
        declared=dict(seen.declared),
        started_at=now,
        cluster=job.spec.cluster,
        retrain=retrain,
    )
    return _start(job, seen, run, asked_again)


def _start(job: ModelJob, seen: Seen, run: Run, asked_again: bool) -> Decision:
    last, earlier = job.status.run, seen.earlier
    if last is not None:
        earlier = Earlier(f"run {last.id}", last.components, last.declared)
    changed = changes(earlier, seen.components, seen.declared) if earlier is not None else {}
    reason, message = _why_run(job, asked_again, earlier, in_words(changed))
    data = {
        "run": run.id,
        "attempt": run.attempt,
        "model": job.spec.model,
        "fingerprint": run.fingerprint,
        "comparedWith": earlier.name if earlier is not None else None,
        "changed": changed,
    }
    return Decision("start", reason, message, run=run, data=data)


def _why_run(job: ModelJob, asked_again: bool, earlier: Earlier | None, changed: str) -> tuple[str, str]:
    if asked_again:
        return "Retrain", "one more run was asked for"
    if job.spec.cache is False:
        return "CacheOff", "cache is off: every change of the spec runs" + (f" ({changed})" if changed else "")
    if earlier is None:
        return "CacheMiss", "no run with this fingerprint is known"
    return "CacheMiss", changed or f"nothing changed since {earlier.name}, and its result is gone or too old"


def _reusable(job: ModelJob, versions: tuple[ModelVersion, ...], wanted: str, now: datetime) -> ModelVersion | None:
    cache = job.spec.cache
    fresh = [one for one in versions if one.fingerprint == wanted]
    if isinstance(cache, CacheTtl):
        fresh = [one for one in fresh if now - one.created_at <= timedelta(seconds=cache.ttl)]
    return max(fresh, key=lambda one: one.number, default=None)


def _follow(job: ModelJob, run: Run, observed: Observed | None, now: datetime) -> Decision:
    if run.retry_at is not None:
        # Further ahead than any back-off: it was written before the clock went back.
        if now < run.retry_at <= now + _back_off(run):
            return Decision("wait", "BackOff", f"next attempt at {run.retry_at:%H:%M:%S}", run, wake_at=run.retry_at)
        fresh = {"retry_at": None, "finished_at": None, "exit_code": None, "signal": None}
        again = run.model_copy(update={"attempt": run.attempt + 1, **fresh})
        data = {"run": run.id, "attempt": again.attempt, "retries": job.attempts - 1}
        return Decision("start", "Retry", f"attempt {again.attempt} of {job.attempts}", run=again, data=data)
    if observed is None:
        return Decision("run", "NotOnCluster", "the cluster does not know it yet", run=run)
    if observed.phase == "Succeeded":
        done = run.model_copy(update={"exit_code": 0, "finished_at": observed.finished_at or now})
        message = f"run {run.id} ended with exit code 0"
        return Decision("pack", "Finished", message, run=done, data=_end_in_numbers(done, observed))
    if observed.phase == "Failed":
        return _failed(job, run, observed, now)
    return Decision("wait", observed.phase, observed.message, run=run)


def _failed(job: ModelJob, run: Run, observed: Observed, now: datetime) -> Decision:
    culprit = _culprit(observed)
    ended = run.model_copy(
        update={
            "exit_code": culprit.exit_code if culprit else None,
            "signal": culprit.signal if culprit else None,
            "finished_at": observed.finished_at or now,
        }
    )
    reason = observed.reason or "Error"
    message = observed.message or _end_in_words(ended)
    # The next attempt has a log of its own: what this one said at its end is kept here.
    data = {**_end_in_numbers(ended, observed), "retries": job.attempts - 1, "cause": reason, "tail": observed.tail}
    if any(one.exit_code == NEVER_AGAIN for one in observed.replicas):
        return Decision("fail", reason, message, run=ended, data=data)
    if reason in _DISRUPTED and run.disruptions < _MOST_DISRUPTIONS:
        again = ended.disruptions + 1
        message = f"{message} (disruption {again}, of {_MOST_DISRUPTIONS} that are no retries)"
        ended = ended.model_copy(update={"disruptions": again})
        data["retries"] += 1
    elif run.attempt >= job.attempts:
        return Decision("fail", reason, message, run=ended, data=data)
    delay = _back_off(run)
    waiting = ended.model_copy(update={"retry_at": now + delay})
    told = {**data, "delay": delay.total_seconds()}
    return Decision("retry", "BackOff", f"{reason}: {message}", run=waiting, data=told, wake_at=waiting.retry_at)


def _back_off(run: Run) -> timedelta:
    return timedelta(seconds=min(_LONGEST_RETRY, _FIRST_RETRY * 2 ** min(run.attempt - 1, 16)))


def _end_in_numbers(ended: Run, observed: Observed) -> dict[str, Any]:
    took = None
    if observed.started_at is not None and observed.finished_at is not None:
        took = round((observed.finished_at - observed.started_at).total_seconds(), 3)
        took = took if took >= 0 else None  # the clock was set back between the two: nobody knows
    return {
        "run": ended.id,
        "attempt": ended.attempt,
        "exitCode": ended.exit_code,
        "signal": ended.signal,
        "seconds": took,
        "log": observed.log,
    }


def _culprit(observed: Observed) -> Replica | None:
    """The replica that failed: when one does, the others of its gang are stopped, and they end badly too."""
    ended = [one for one in observed.replicas if one.exit_code or one.signal]
    return next((one for one in ended if one.reason == observed.reason), ended[0] if ended else None)


def _end_in_words(run: Run) -> str:
    if run.signal is not None:
        return f"the code was ended by signal {run.signal}"
    return f"the code ended with exit code {run.exit_code}"
