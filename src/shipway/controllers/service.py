"""ModelService: revisions, their replicas, and the traffic between them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shipway.bundle import Observed
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.templates import revision_workload
from shipway.controllers.updates import all_of, ensure, find, is_leaving, update, with_finalizer, without_finalizer
from shipway.kinds import (
    RETRY,
    Model,
    ModelService,
    ObjectMeta,
    ResolvedModel,
    Revision,
    RevisionSpec,
    Route,
    RouteSpec,
    split_reference,
)
from shipway.models.formats import is_pickle
from shipway.ports import Clock, Cluster, Gateway, Store
from shipway.rollout import Outcome, RevisionSeen, Step, Wanted, step

_KEPT_REVISIONS = 10  # retired ones, for a quick way back
_LONGEST_DRAIN = 3600.0  # seconds, where requests have no time limit


class _Blocked(Exception):
    """The service cannot be rolled out as declared; becomes the condition RolledOut. Never leaves this file.

    ``final``: waiting does not help, the user has to change something.
    """

    def __init__(self, reason: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.final = final

    def mark(self, service: ModelService, now: datetime) -> ModelService:
        if not self.final:
            return service.mark_waiting(self.reason, self.message, now)
        status = service.status
        return service.mark_rollout_failed(status.latest_revision, status.latest_model, self.reason, self.message, now)


@dataclass(frozen=True, slots=True)
class ServiceController:
    """Reads a service and its revisions, asks :func:`shipway.rollout.step`, does it, writes the status once."""

    store: Store
    cluster: Cluster
    gateway: Gateway
    clock: Clock
    recorder: Recorder

    async def reconcile(self, name: str) -> datetime | None:
        """Bring one service nearer to what it declares."""
        service = update(self.store, ModelService, name, lambda one: one if is_leaving(one) else with_finalizer(one))
        if service is None:
            return None
        if is_leaving(service):
            await self._remove(service)
            return None
        try:
            model = self._resolve(service)
            return await self._roll(service, model, self._revision(service, model))
        except _Blocked as blocked:
            serving = find(self.store, Revision, service.status.ready_revision or "-")
            if serving is not None:
                # What has the traffic goes on, and is looked after: restarts, scaling, its status.
                return await self._roll(service, service.status.model, serving, blocked)
            mark, now = blocked.mark, self.clock.now()
            self._write(service, lambda one: mark(one, now))
            return None

    def _resolve(self, service: ModelService) -> ResolvedModel | None:
        if service.spec.model is None:
            return None
        name, ref = split_reference(service.spec.model)
        model = find(self.store, Model, name)
        version = model.version(ref) if model is not None else None
        if version is None:
            if model is None:
                raise _Blocked("ModelNotAvailable", f"there is no model {name}: a ModelJob makes one, or a Model")
            have = ", ".join(str(one.number) for one in model.status.versions)
            detail = f"model {name} has no version {ref!r} (versions: {have or 'none'})"
            raise _Blocked("ModelNotAvailable", detail)
        if version.origin == "import" and is_pickle(version.format) and not service.spec.allow_pickle:
            raise _Blocked(
                "PickleNotTrusted",
                f"{name}:{version.number} is a pickle ({version.format}) that was not trained here: loading it runs "
                "whatever code it holds\ntrust it with allowPickle: true in the ModelService, or convert it to skops "
                "or ONNX",
                final=True,
            )
        return ResolvedModel(name=name, version=version.number, digest=version.digest, origin=version.origin)

    def _revision(self, service: ModelService, model: ResolvedModel | None) -> Revision:
        template = service.spec.template()
        document = template.model_dump(mode="json")
        # How the files were chosen is not what runs: only the snapshot's digest is.
        document["source"] = template.source.digest if template.source else None
        document["model"] = model.digest if model else None
        digest = "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        mine = self._revisions(service)
        known = next((one for one in mine if one.spec.hash == digest), None)
        if known is not None:
            return known
        number = max((one.spec.number for one in mine), default=0) + 1
        spec = RevisionSpec(service=service.name, number=number, template=template, model=model, hash=digest)
        made = ensure(self.store, Revision(metadata=ObjectMeta(name=f"{service.name}-{number:05d}"), spec=spec))
        self.recorder.decision(subject_of(service), "RevisionMade", f"{made.name} made", {"hash": digest})
        return made

    def _revisions(self, service: ModelService) -> list[Revision]:
        return [one for one in all_of(self.store, Revision) if one.spec.service == service.name]

    async def _roll(
        self, service: ModelService, model: ResolvedModel | None, revision: Revision, blocked: _Blocked | None = None
    ) -> datetime | None:
        now = self.clock.now()
        wanted = Wanted(
            revision=revision.name,
            replicas=service.spec.replicas,
            progress_deadline=service.spec.rollout.progress_deadline,
            drain=service.spec.timeout or _LONGEST_DRAIN,
            retry=service.metadata.annotations.get(RETRY, ""),
        )
        seen = [await self._see(one) for one in self._revisions(service)]
        route = ensure(self.store, Route(metadata=ObjectMeta(name=service.name), spec=RouteSpec(service=service.name)))
        decided = step(wanted, seen, route.spec.backends, route.status.live_backends, now)
        # Processes first: a hub killed between the two repeats the step, and takes no old end for a new one's.
        await self._scale(seen, decided)
        for name, outcome in decided.transitions.items():
            self._transition(service, name, outcome, wanted, now)
        route = self._route(service, decided) or route
        self._status(service, model, wanted, {one.revision.name: one.observed for one in seen}, route, blocked)
        await self._collect(service, wanted.revision)
        # A transition is the input of the next step: the store's change wakes this service again.
        return decided.wake_at

    async def _see(self, revision: Revision) -> RevisionSeen:
        draining = revision.status.phase == "Draining"
        active = await self.gateway.active(revision.name) if draining else None
        return RevisionSeen(revision, await self.cluster.observe(revision.name), active)

    def _transition(self, service: ModelService, name: str, outcome: Outcome, wanted: Wanted, now: datetime) -> None:
        def change(one: Revision) -> Revision:
            match outcome.phase:
                case "Starting":
                    return one.mark_starting(wanted.retry, now)
                case "Ready":
                    return one.mark_ready(now)
                case "Failed":
                    return one.mark_failed(outcome.reason, outcome.message, outcome.tail, outcome.log, now)
                case "Draining":
                    return one.mark_draining(outcome.until or now, now)
                case "Retired":
                    return one.mark_retired(now)

        update(self.store, Revision, name, change)
        message = f"{name}: {outcome.phase} {outcome.message}".strip()
        self.recorder.decision(subject_of(service), f"{outcome.phase}:{outcome.reason}", message, {"revision": name})

    async def _scale(self, seen: Sequence[RevisionSeen], decided: Step) -> None:
        for one in seen:
            name, observed = one.revision.name, one.observed
            outcome = decided.transitions.get(name)
            phase = outcome.phase if outcome else one.revision.status.phase
            again = phase == "Starting" and one.revision.status.phase == "Failed"
            if observed is not None and observed.phase == "Stopping":
                continue  # a name is free again when its last process has ended
            if phase == "Retired" or again:
                await self.cluster.delete(name)
            elif phase != "Failed" or observed is not None:
                # A failed one keeps its files at 0 replicas, so that its log can be read.
                workload = revision_workload(one.revision, decided.replicas[name])
                # What another version of Shipway started goes on as it is until its service changes.
                if observed is None or observed.hash == workload.hash():
                    await self.cluster.apply(workload)

    def _route(self, service: ModelService, decided: Step) -> Route | None:
        spec = RouteSpec(
            service=service.name,
            backends=decided.backends,
            timeout=service.spec.timeout,
            retries=service.spec.retries,
        )
        return update(self.store, Route, service.name, lambda one: one.model_copy(update={"spec": spec}))

    def _status(
        self,
        service: ModelService,
        model: ResolvedModel | None,
        wanted: Wanted,
        observed: Mapping[str, Observed | None],
        route: Route,
        blocked: _Blocked | None,
    ) -> None:
        now = self.clock.now()
        revision = find(self.store, Revision, wanted.revision)
        if revision is None:
            return
        serving = next((one.revision for one in route.status.live_backends if one.weight), "")
        running = observed.get(serving)
        ready = len(running.ready) if running else 0

        def change(one: ModelService) -> ModelService:
            if blocked is not None:
                one = blocked.mark(one, now)
            else:
                one = _rolled(one, revision, observed.get(wanted.revision), model, serving, route, now)
            if serving or one.status.ready_revision:
                environment = running.environment if running else one.status.environment
                notes = "; ".join(running.notes) if running else ""
                one = one.mark_serving(
                    ready=ready,
                    wanted=service.spec.replicas,
                    url=route.status.url,
                    environment=environment,
                    message=notes,
                    now=now,
                )
            return one

        before, after = service.status.ready_revision, change(service).status.ready_revision
        if after != before:
            data = {"from": before, "to": serving, "model": model.model_dump(mode="json") if model else None}
            what = f"{serving} ({model.name}:{model.version})" if model else serving
            self.recorder.ledger(subject_of(service), "Live", f"all traffic goes to {what}", data)
        self._write(service, change)

    def _write(self, service: ModelService, change: Callable[[ModelService], ModelService]) -> ModelService | None:
        # A spec that was applied meanwhile has its own pass: this one must not claim its generation.
        def guarded(present: ModelService) -> ModelService:
            same = present.metadata.uid == service.metadata.uid
            return change(present).observed_at(service.metadata.generation) if same else present

        return update(self.store, ModelService, service.name, guarded)

    async def _collect(self, service: ModelService, wanted: str) -> None:
        retired = [
            one for one in self._revisions(service) if one.status.phase in ("Retired", "Failed") and one.name != wanted
        ]
        retired.sort(key=lambda one: one.spec.number)
        for one in retired:
            if one.status.phase == "Failed":
                await self.cluster.delete(one.name)
        for one in retired[:-_KEPT_REVISIONS]:
            self.store.delete("Revision", one.name)

    async def _remove(self, service: ModelService) -> None:
        route = find(self.store, Route, service.name)
        if route is not None:
            self.store.delete("Route", route.name)
        revisions = self._revisions(service)
        left = [one for one in revisions if await self.cluster.observe(one.name) is not None]
        for one in left:
            await self.cluster.delete(one.name)
        if not left:
            for one in revisions:
                self.store.delete("Revision", one.name)
            self.recorder.ledger(subject_of(service), "Deleted", f"{service.name} was deleted")
            self.recorder.forget(subject_of(service))
            update(self.store, ModelService, service.name, without_finalizer)


def _rolled(
    service: ModelService,
    revision: Revision,
    observed: Observed | None,
    model: ResolvedModel | None,
    serving: str,
    route: Route,
    now: datetime,
) -> ModelService:
    status = revision.status
    if status.phase == "Failed":
        condition = status.condition("Ready")
        reason, message = (condition.reason, condition.message) if condition else ("Failed", "")
        return service.mark_rollout_failed(revision.name, model, reason, message, now)
    if status.phase == "Ready" and serving == revision.name:
        return service.mark_rolled_out(revision.name, model, route.status.url, now)
    message = _progress(revision, observed, route)
    return service.mark_progressing(revision.name, model, message, now)


def _progress(revision: Revision, observed: Observed | None, route: Route) -> str:
    """What a rollout waits for, in words."""
    if revision.status.phase == "Ready":
        programmed = route.status.condition("Programmed")
        refused = programmed.message if programmed is not None and programmed.status == "False" else ""
        return f"ready; the gateway: {refused}" if refused else "ready; traffic is moving"
    if observed is None:
        return "starting"
    if observed.phase == "Preparing":
        return "its files and its environment are being made"
    return f"{len(observed.ready)} of {len(observed.replicas)} replicas are ready"
