"""Revision: an immutable snapshot of a service's template and its model's digest. Made by Shipway."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal, Self

from shipway.kinds.cluster import LOCAL
from shipway.kinds.meta import DigestStr, Name, Object, Status, Value
from shipway.kinds.service import ResolvedModel, RevisionTemplate

RevisionPhase = Literal["Starting", "Ready", "Failed", "Draining", "Retired"]


class RevisionSpec(Value):
    """What one replica is, for ever."""

    service: Name
    number: int
    template: RevisionTemplate
    model: ResolvedModel | None = None
    cluster: Name = LOCAL
    hash: DigestStr  # of template and model: equal hashes are the same revision


class RevisionStatus(Status):
    """Where it stands in its life."""

    phase: RevisionPhase = "Starting"
    started_at: datetime | None = None
    drain_until: datetime | None = None
    tail: str = ""
    log: str = ""
    retry: str = ""  # value of the service's retry annotation that this start answers


class Revision(Object):
    """An immutable snapshot of a service."""

    plural: ClassVar[str] = "revisions"

    kind: Literal["Revision"] = "Revision"
    spec: RevisionSpec
    status: RevisionStatus = RevisionStatus()

    def mark_starting(self, retry: str, now: datetime) -> Self:
        """Its replicas were asked for (again, when ``retry`` is a new value)."""
        status = RevisionStatus(phase="Starting", started_at=now, retry=retry, conditions=self.status.conditions)
        return self.with_status(status).with_condition(
            "Ready", "Unknown", "Starting", "its replicas were asked for", now
        )

    def mark_ready(self, now: datetime) -> Self:
        """Enough replicas are ready and warm; it may have traffic."""
        status = self.status.model_copy(update={"phase": "Ready", "drain_until": None})
        return self.with_status(status).with_condition("Ready", "True", "Ready", "all its replicas are ready", now)

    def mark_failed(self, reason: str, message: str, tail: str, log: str, now: datetime) -> Self:
        """It did not get ready; it never has traffic."""
        status = self.status.model_copy(update={"phase": "Failed", "tail": tail, "log": log})
        return self.with_status(status).with_condition("Ready", "False", reason, message, now)

    def mark_draining(self, until: datetime, now: datetime) -> Self:
        """It gets no new request; those under way may end until then."""
        status = self.status.model_copy(update={"phase": "Draining", "drain_until": until})
        return self.with_status(status).with_condition(
            "Ready", "False", "Draining", f"requests under way may end until {until:%H:%M:%S} UTC", now
        )

    def mark_retired(self, now: datetime) -> Self:
        """Its replicas are gone; it can be started again."""
        status = self.status.model_copy(update={"phase": "Retired", "drain_until": None})
        return self.with_status(status).with_condition(
            "Ready", "False", "Retired", "its replicas are gone; it can be started again", now
        )
