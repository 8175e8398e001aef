"""The next step of a rollout: ``step(wanted, revisions, live, now) -> Step``.

The wanted revision is started beside the one with the traffic; when all its replicas are ready the
traffic moves; when the gateway confirms that, the old one is drained and its replicas end. A revision
that does not get ready is given up and never has traffic.

    Starting --all ready--> Ready --another has the traffic--> Draining --idle or too long--> Retired
       |--failed or too late--> Failed --retry asked--> Starting          Retired --wanted again--> Starting

The states of the revisions, not of the service, are the memory: the step can be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from shipway.bundle import Observed, Replica
from shipway.kinds import Backend, Revision

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
    """A transition of one revision."""

    phase: Literal["Starting", "Ready", "Failed", "Draining", "Retired"]
    reason: str = ""
    message: str = ""
    tail: str = ""
    log: str = ""
    until: datetime | None = None


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
) -> Step:
    """Decide about one service. ``asked``: backends of its Route now; ``live``: those that the gateway confirmed."""
    by_name = {one.revision.name: one for one in revisions}
    transitions: dict[str, Outcome] = {}
    for name, seen in by_name.items():
        outcome = (
            _wanted_next(seen, wanted, now) if name == wanted.revision else _other_next(seen, wanted, asked, live, now)
        )
        if outcome is not None:
            transitions[name] = outcome
    phases = {name: _phase_after(seen, transitions.get(name)) for name, seen in by_name.items()}
    backends = _backends(wanted, phases, asked)
    replicas = {name: _replicas(by_name[name], phases[name], wanted, live) for name in by_name}
    wake_at = _wake(phases, by_name.get(wanted.revision), wanted, now)
    return Step(transitions, replicas, backends, wake_at)


def _wanted_next(seen: RevisionSeen, wanted: Wanted, now: datetime) -> Outcome | None:
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
    since = _deadline(seen)
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
    seen: RevisionSeen, wanted: Wanted, asked: tuple[Backend, ...], live: tuple[Backend, ...], now: datetime
) -> Outcome | None:
    status = seen.revision.status
    has_traffic = any(one.revision == seen.revision.name for one in live)
    if status.phase == "Starting":
        return Outcome("Retired", "Superseded", f"{wanted.revision} is wanted now")
    idle = live and not has_traffic and not any(one.revision == seen.revision.name for one in asked)
    if status.phase == "Ready" and idle:
        return Outcome("Draining", "TrafficMoved", until=now + timedelta(seconds=wanted.drain))
    if status.phase == "Draining" and status.drain_until is not None:
        lingered = now >= _draining_since(seen.revision) + _LINGER
        if now >= status.drain_until or (lingered and seen.active == 0):
            return Outcome("Retired", "Drained")
    return None


def _draining_since(revision: Revision) -> datetime:
    condition = revision.status.condition("Ready")
    since = condition.last_transition_time if condition else None
    return since or datetime.min.replace(tzinfo=UTC)


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


def _deadline(seen: RevisionSeen) -> datetime | None:
    """Since when it is waited for: None while files and packages are prepared, or an earlier start still ends."""
    if seen.observed is not None and seen.observed.phase in ("Preparing", "Stopping"):
        return None
    # The later of the two: a process that was left running for a way back is older than the wish to go back.
    starts = (seen.observed.started_at if seen.observed else None, seen.revision.status.started_at)
    return max((one for one in starts if one is not None), default=None)


def _wake(phases: Mapping[str, str], seen: RevisionSeen | None, wanted: Wanted, now: datetime) -> datetime | None:
    if "Draining" in phases.values():
        return now + _POLL
    if seen is not None and phases[wanted.revision] == "Starting":
        since = _deadline(seen)
        return since + timedelta(seconds=wanted.progress_deadline) if since else None
    return None
