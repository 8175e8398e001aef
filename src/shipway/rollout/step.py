"""The next step of a rollout: ``step(wanted, revisions, asked, live, now, steady) -> Step``.

The wanted revision is started beside the one with the traffic; when all its replicas are ready the
traffic moves; when the gateway confirms that, the old one is drained and its replicas end. A revision
that does not get ready is given up and never has traffic.

    Starting --all ready--> Ready --another has the traffic--> Draining --idle or too long--> Retired
       |--failed or too late--> Failed --retry asked--> Starting          Retired --wanted again--> Starting

The states of the revisions, not of the service, are the memory: the step can be repeated at any time.

``steady`` is since when the clock can be measured with (``ports.Clock.steady_since``). What a revision waits for is
counted from there at the earliest: a laptop that slept for a night gives nothing up, and cuts no request off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from shipway.bundle import Observed, Replica
from shipway.kinds import Backend, Revision
from shipway.kinds.route import shares

# Ends of a replica that a restart does not mend: without waiting for the deadline, give up.
_HOPELESS = 3  # restarts of one replica that was never ready

_LINGER = timedelta(seconds=1)  # until requests sent just before the switch are counted as under way
_POLL = timedelta(seconds=0.25)  # how often the count is read while draining


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the service asks for. ``drain`` is how long requests under way may take; seconds."""

    revision: str
    replicas: int
    progress_deadline: float
    drain: float
    retry: str = ""


@dataclass(frozen=True, slots=True)
class RevisionSeen:
    """One revision, what runs of it, and how many requests are under way to it (None: not known)."""

    revision: Revision
    observed: Observed | None = None
    active: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A transition of one revision. ``data`` are the numbers it was decided by."""

    phase: Literal["Starting", "Ready", "Failed", "Draining", "Retired"]
    reason: str = ""
    message: str = ""
    tail: str = ""
    log: str = ""
    until: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """What should be now: transitions, replicas of each revision, the route's backends; and when to look again."""

    transitions: Mapping[str, Outcome] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    backends: tuple[Backend, ...] = ()
    wake_at: datetime | None = None


def step(
    wanted: Wanted,
    revisions: Sequence[RevisionSeen],
    asked: tuple[Backend, ...],
    live: tuple[Backend, ...],
    now: datetime,
    steady: datetime,
) -> Step:
    """Decide about one service. ``asked``: backends of its Route now; ``live``: those that the gateway confirmed."""
    by_name = {one.revision.name: one for one in revisions}
    transitions: dict[str, Outcome] = {}
    for name, seen in by_name.items():
        outcome = (
            _wanted_next(seen, wanted, now, steady)
            if name == wanted.revision
            else _other_next(seen, wanted, asked, live, now, steady)
        )
        if outcome is not None:
            transitions[name] = outcome
    phases = {name: _phase_after(seen, transitions.get(name)) for name, seen in by_name.items()}
    backends = _backends(wanted, phases, asked)
    replicas = {name: _replicas(by_name[name], phases[name], wanted, live) for name in by_name}
    wake_at = _wake(phases, by_name.get(wanted.revision), wanted, now, steady)
    routed = {"before": shares(asked), "after": shares(backends)}
    told = {
        name: replace(one, data={**_numbers(by_name[name], one, wanted, now), "backends": routed})
        for name, one in transitions.items()
    }
    return Step(told, replicas, backends, wake_at)


def _numbers(seen: RevisionSeen, outcome: Outcome, wanted: Wanted, now: datetime) -> dict[str, Any]:
    status, observed = seen.revision.status, seen.observed
    condition = status.condition("Ready")
    since = (
        condition.last_transition_time if condition is not None and status.phase == "Draining" else status.started_at
    )
    ended = next((one for one in observed.replicas if one.exit_code or one.signal), None) if observed else None
    return {
        "revision": seen.revision.name,
        "from": status.phase if status.started_at is not None else None,
        "to": outcome.phase,
        "ready": len(observed.ready) if observed is not None else 0,
        "wanted": wanted.replicas if seen.revision.name == wanted.revision else 0,
        "seconds": round((now - since).total_seconds(), 3) if since is not None else None,
        "exitCode": ended.exit_code if ended else None,
        "signal": ended.signal if ended else None,
        "active": seen.active,
        "tail": outcome.tail,
    }


def _wanted_next(seen: RevisionSeen, wanted: Wanted, now: datetime, steady: datetime) -> Outcome | None:
    status = seen.revision.status
    if status.phase in ("Draining", "Retired"):
        return Outcome("Starting", "Wanted")
    if status.phase == "Failed":
        return Outcome("Starting", "Retry") if wanted.retry != status.retry else None
    if status.phase == "Ready":
        return None
    if status.started_at is None:
        return Outcome("Starting", "New")
    failure = _failure(seen.observed)
    if failure is not None:
        return failure
    observed = seen.observed
    if observed is not None and observed.phase == "Running" and len(observed.ready) >= wanted.replicas:
        return Outcome("Ready", "AllReplicasReady", f"{wanted.replicas} of {wanted.replicas} replicas are ready")
    since = _waits_since(seen, now, steady)
    late = since is not None and now >= since + timedelta(seconds=wanted.progress_deadline)
    return _too_late(seen, wanted) if late else None


def _failure(observed: Observed | None) -> Outcome | None:
    """The end of a revision that waiting will not mend, or None."""
    if observed is None or observed.phase == "Stopping":  # the end of an earlier start
        return None
    if observed.phase == "Failed":
        return Outcome("Failed", observed.reason or "Error", observed.message, observed.tail, observed.log)
    for replica in observed.replicas:
        if replica.phase == "Exited" or (replica.phase != "Ready" and replica.restarts >= _HOPELESS):
            return Outcome("Failed", replica.reason or "Error", _in_words(replica), observed.tail, observed.log)
    return None


def _in_words(replica: Replica) -> str:
    if replica.message:
        return replica.message
    if replica.signal is not None:
        return f"replica {replica.index} was ended by signal {replica.signal}"
    return f"replica {replica.index} ended with exit code {replica.exit_code}"


def _too_late(seen: RevisionSeen, wanted: Wanted) -> Outcome:
    observed = seen.observed
    ready = len(observed.ready) if observed else 0
    message = f"{ready} of {wanted.replicas} replicas were ready after {wanted.progress_deadline:g} s"
    if observed is None:
        return Outcome("Failed", "ProgressDeadlineExceeded", message)
    return Outcome("Failed", "ProgressDeadlineExceeded", message, observed.tail, observed.log)


def _other_next(
    seen: RevisionSeen,
    wanted: Wanted,
    asked: tuple[Backend, ...],
    live: tuple[Backend, ...],
    now: datetime,
    steady: datetime,
) -> Outcome | None:
    status = seen.revision.status
    has_traffic = any(one.revision == seen.revision.name for one in live)
    if status.phase == "Starting":
        return Outcome("Retired", "Superseded", f"{wanted.revision} is wanted now")
    idle = live and not has_traffic and not any(one.revision == seen.revision.name for one in asked)
    if status.phase == "Ready" and idle:
        return Outcome("Draining", "TrafficMoved", until=now + timedelta(seconds=wanted.drain))
    if status.phase == "Draining" and status.drain_until is not None:
        condition = status.condition("Ready")
        asked_at = (condition.last_transition_time if condition else None) or status.drain_until
        waited = now - _counts_from(asked_at, now, steady)
        if waited >= status.drain_until - asked_at or (waited >= _LINGER and seen.active == 0):
            return Outcome("Retired", "Drained")
    return None


def _counts_from(began: datetime, now: datetime, steady: datetime) -> datetime:
    """From when a wait that began then is measured. What began in the future was written before the clock went back."""
    return max(began, steady) if began <= now else steady


def _phase_after(seen: RevisionSeen, outcome: Outcome | None) -> str:
    return outcome.phase if outcome is not None else seen.revision.status.phase


def _backends(wanted: Wanted, phases: Mapping[str, str], asked: tuple[Backend, ...]) -> tuple[Backend, ...]:
    if phases.get(wanted.revision) == "Ready":
        return (Backend(revision=wanted.revision, weight=100, replicas=wanted.replicas),)
    return tuple(one for one in asked if phases.get(one.revision) in ("Ready", "Draining"))


def _replicas(seen: RevisionSeen, phase: str, wanted: Wanted, live: tuple[Backend, ...]) -> int:
    name = seen.revision.name
    present = len(seen.observed.replicas) if seen.observed else 0
    if phase in ("Failed", "Retired"):
        return 0
    if name != wanted.revision:
        return present
    # Fewer replicas are stopped only when the gateway has confirmed that it no longer uses them.
    in_use = max((one.replicas for one in live if one.revision == name), default=0)
    return max(wanted.replicas, min(in_use, present))


def _waits_since(seen: RevisionSeen, now: datetime, steady: datetime) -> datetime | None:
    """Since when it is waited for: None while files and packages are prepared, or an earlier start still ends."""
    if seen.observed is not None and seen.observed.phase in ("Preparing", "Stopping"):
        return None
    # The later of the two: a process that was left running for a way back is older than the wish to go back.
    starts = (seen.observed.started_at if seen.observed else None, seen.revision.status.started_at)
    return max((_counts_from(one, now, steady) for one in starts if one is not None), default=None)


def _wake(
    phases: Mapping[str, str], seen: RevisionSeen | None, wanted: Wanted, now: datetime, steady: datetime
) -> datetime | None:
    if "Draining" in phases.values():
        return now + _POLL
    if seen is not None and phases[wanted.revision] == "Starting":
        since = _waits_since(seen, now, steady)
        return since + timedelta(seconds=wanted.progress_deadline) if since else None
    return None
