"""What is written of a service's life, wherever it runs: its revisions' transitions, restarts, who is live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from shipway.bundle import Observed
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.revisions import in_words, restart_of, template_changes
from shipway.controllers.updates import find, update
from shipway.kinds import LATEST, RETRY, ModelService, ResolvedModel, Revision, split_reference
from shipway.ports import Clock, Store
from shipway.rollout import Outcome


class Blocked(Exception):
    """The service cannot be rolled out as declared; becomes the condition RolledOut. Never leaves the controllers.

    ``final``: waiting does not help, the user has to change something.
    """

    def __init__(self, reason: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.final = final

    def mark(self, service: ModelService, now: datetime) -> ModelService:
        """The service with the reason in its condition."""
        if not self.final:
            return service.mark_waiting(self.reason, self.message, now)
        status = service.status
        return service.mark_rollout_failed(status.latest_revision, status.latest_model, self.reason, self.message, now)


@dataclass(frozen=True, slots=True)
class ServiceJournal:
    """Writes; decides nothing."""

    store: Store
    recorder: Recorder
    clock: Clock

    def transition(self, service: ModelService, name: str, outcome: Outcome, retry: str, now: datetime) -> None:
        """Of a revision: first the line of the journal, then the status. ``retry`` is answered by a new start."""

        def change(one: Revision) -> Revision:
            match outcome.phase:
                case "Starting":
                    return one.mark_starting(retry, now)
                case "Ready":
                    return one.mark_ready(now)
                case "Failed":
                    return one.mark_failed(outcome.reason, outcome.message, outcome.tail, outcome.log, now)
                case "Draining":
                    return one.mark_draining(outcome.until or now, now)
                case "Retired":
                    return one.mark_retired(now)

        present = find(self.store, Revision, name)
        started = present.status.started_at if present is not None else None
        message = f"{name}: {outcome.phase}" + (f", {outcome.message}" if outcome.message else "")
        data = {
            **outcome.data,
            "service": service.name,
            "uid": present.metadata.uid if present is not None else None,
            "startedAt": started.isoformat() if started else None,
        }
        self.recorder.decision(subject_of(service), outcome.reason, message, data, once=True)
        update(self.store, Revision, name, change)

    def blocked(self, service: ModelService, blocked: Blocked) -> None:
        """Why nothing can be rolled out."""
        self.recorder.decision(subject_of(service), blocked.reason, blocked.message, {"model": service.spec.model})

    def restarts(self, service: ModelService, seen: Iterable[tuple[str, Observed | None]]) -> None:
        """Replicas are started again where they run: here it is told, once each, whichever hub sees it. ``seen``: what
        runs, by revision."""
        for revision, observed in seen:
            for replica in observed.replicas if observed is not None else ():
                if replica.restarts and observed is not None:
                    message, data = restart_of(replica.revision or revision, replica, observed)
                    about = ("revision", "replica", "restarts", "since")
                    self.recorder.event(subject_of(service), "ReplicaRestarted", message, data, about=about)

    def live(self, service: ModelService, before: str, revision: Revision) -> None:
        """Into the ledger: who has the traffic from now on, where, why and by whom."""
        subject, model = subject_of(service), revision.spec.model
        old = find(self.store, Revision, before or "-")
        changed = template_changes(old.spec, revision.spec) if old is not None else {}
        by, why = self.recorder.by(subject), ", ".join(in_words(changed)) or "the first revision with traffic"
        if model is not None and set(changed) == {"model"}:
            name, alias = split_reference(service.spec.model or "")
            if name == model.name and alias != LATEST and not alias.isdigit():
                by = self.recorder.moved_by(name, alias, model.version)
                why = f"{name}:{model.version} became {alias}"
        data = {
            "from": before,
            "to": revision.name,
            "model": model.model_dump(mode="json") if model is not None else None,
            "cluster": service.spec.cluster,
            "service": service.name,
            "changed": changed,
            "why": why,
            "by": by,
        }
        what = f"{revision.name} ({model.name}:{model.version})" if model is not None else revision.name
        self.recorder.ledger(subject, "Live", f"all traffic goes to {what}", data)

    def write(self, service: ModelService, change: Callable[[ModelService], ModelService]) -> ModelService | None:
        """The service as changed, unless it is another one by now. A spec that was applied meanwhile has its own pass:
        this one does not claim its generation."""

        def guarded(present: ModelService) -> ModelService:
            if present.metadata.uid != service.metadata.uid:
                return present
            changed = change(present)
            answered = changed.status.model_copy(update={"retry": service.metadata.annotations.get(RETRY, "")})
            return changed.with_status(answered).observed_at(service.metadata.generation)

        return update(self.store, ModelService, service.name, guarded)


def rolled(
    service: ModelService,
    revision: Revision,
    model: ResolvedModel | None,
    live: str,
    url: str,
    progress: str,
    now: datetime,
) -> ModelService:
    """The service with what became of the wanted revision. ``live``: the one with the traffic; ``progress``: what a
    rollout under way waits for, in words. Pure."""
    status = revision.status
    if status.phase == "Failed":
        condition = status.condition("Ready")
        reason, message = (condition.reason, condition.message) if condition else ("Failed", "")
        return service.mark_rollout_failed(revision.name, model, reason, message, now)
    if status.phase == "Ready" and live == revision.name:
        return service.mark_rolled_out(revision.name, model, url, now)
    return service.mark_progressing(revision.name, model, progress, now)
