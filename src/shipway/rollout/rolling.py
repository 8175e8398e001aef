"""The next step where the cluster exchanges replicas by itself (a Deployment of Kubernetes): ``step_rolling(...)``.

There is one workload, whichever revision it has. The cluster starts replicas of the new one beside those that serve and
stops these as the new ones get ready; it goes on when no hub lives. What is left to decide is what it is asked to run,
and what is said of the revisions:

    Starting --rolled out--> Ready --another one rolled out--> Retired
       |--given up by the cluster--> Failed --rolled out after all--> Ready
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shipway.bundle import Observed
from shipway.kinds import Revision
from shipway.rollout.step import Outcome, Wanted

# Kubernetes has the deadline; ours is for what it does not see (a quota that lets no Pod be made), and comes later.
_GRACE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Rolling:
    """What should be now. ``live``: the revision with the traffic, "" while none ever had it."""

    transitions: Mapping[str, Outcome] = field(default_factory=dict)
    live: str = ""
    wake_at: datetime | None = None

    def refused(self, revision: Revision, reason: str, message: str) -> Rolling:
        """The same where the cluster did not take the revision: one that was to start has failed."""
        outcome = self.transitions.get(revision.name)
        phase = outcome.phase if outcome is not None else revision.status.phase
        if phase != "Starting":
            return self
        return Rolling({**self.transitions, revision.name: Outcome("Failed", reason, message)}, self.live)


def step_rolling(
    wanted: Wanted, revisions: Sequence[Revision], live: str, observed: Observed | None, now: datetime, steady: datetime
) -> Rolling:
    """Decide about one service. ``live``: the revision that had the traffic last; ``observed``: its one workload."""
    revision = next(one for one in revisions if one.name == wanted.revision)
    outcome = _wanted_next(revision, wanted, observed, now, steady)
    transitions = {revision.name: outcome} if outcome is not None else {}
    phase = outcome.phase if outcome is not None else revision.status.phase
    if phase == "Ready":
        live = revision.name
        for one in revisions:
            if one.name != live and one.status.phase in ("Starting", "Ready", "Draining"):
                transitions[one.name] = Outcome("Retired", "Superseded", f"{live} has taken its place")
    else:
        for one in revisions:
            if one.name not in (live, revision.name) and one.status.phase in ("Starting", "Draining"):
                transitions[one.name] = Outcome("Retired", "Superseded", f"{revision.name} is wanted now")
    waits = phase == "Starting"
    return Rolling(transitions, live, _late_at(revision, wanted, now, steady) if waits else None)


def _wanted_next(
    revision: Revision, wanted: Wanted, observed: Observed | None, now: datetime, steady: datetime
) -> Outcome | None:
    status = revision.status
    if status.started_at is None:
        return Outcome("Starting", "New")
    if status.phase in ("Draining", "Retired"):
        return Outcome("Starting", "Wanted")
    if status.phase == "Failed" and wanted.retry != status.retry:
        return Outcome("Starting", "Retry")
    mine = observed is not None and observed.revision == revision.name
    if observed is None or not mine or observed.stale_since is not None:
        return None
    ready = sum(one.revision == revision.name for one in observed.ready)
    if observed.rolled_out:
        if status.phase == "Ready":
            return None
        return Outcome("Ready", "AllReplicasReady", f"{ready} of {ready} replicas are ready")
    if status.phase != "Starting":
        return None
    if observed.reason in _GIVEN_UP:
        return Outcome("Failed", observed.reason, observed.message, observed.tail, observed.log)
    if now >= _late_at(revision, wanted, now, steady):
        told = f"{ready} replicas were ready after {wanted.progress_deadline:g} s"
        message = f"{told}: {observed.message}" if observed.message else told
        reason = observed.reason or "ProgressDeadlineExceeded"
        return Outcome("Failed", reason, message, observed.tail, observed.log)
    return None


# Reasons that no waiting mends: somebody has to change something. The rest may pass, and has until the deadline.
_GIVEN_UP = frozenset({"ProgressDeadlineExceeded", "ModelNotLoaded", "CommandNotFound", "InvalidImageName"})


def _late_at(revision: Revision, wanted: Wanted, now: datetime, steady: datetime) -> datetime:
    started = revision.status.started_at or now
    since = max(started, steady) if started <= now else steady
    return since + timedelta(seconds=wanted.progress_deadline) + _GRACE
