"""ModelService: revisions, their replicas, and the traffic between them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from shipway.bundle import Observed
from shipway.controllers.model import version_of
from shipway.controllers.objects import Objects
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.revisions import in_words, template_changes
from shipway.controllers.rolling import RollingServices
from shipway.controllers.service_journal import Blocked, ServiceJournal, rolled
from shipway.controllers.templates import revision_workload
from shipway.controllers.updates import ensure, find, is_leaving, update, with_finalizer, without_finalizer
from shipway.formats import is_pickle
from shipway.kinds import (
    LOCAL,
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
from shipway.models import Versions
from shipway.ports import Clock, Cluster, Gateway
from shipway.retention import Ended, Retention, surplus
from shipway.rollout import RevisionSeen, Step, Wanted, step

_LONGEST_DRAIN = 3600.0  # seconds, where requests have no time limit


@dataclass(frozen=True, slots=True)
class ServiceController:
    """Reads a service and its revisions, asks :func:`shipway.rollout.step`, does it, writes the status once."""

    store: Objects
    cluster: Cluster
    gateway: Gateway
    clock: Clock
    recorder: Recorder
    versions: Versions
    journal: ServiceJournal
    rolling: RollingServices
    retention: Retention = Retention()

    async def reconcile(self, name: str) -> datetime | None:
        """Bring one service nearer to what it declares."""
        service = update(self.store, ModelService, name, lambda one: one if is_leaving(one) else with_finalizer(one))
        if service is None:
            return None
        if is_leaving(service):
            await self._remove(service)
            return None
        try:
            model = await self._resolve(service)
            return await self._bring(service, model, self._revision(service, model))
        except Blocked as blocked:
            serving = find(self.store, Revision, service.status.ready_revision or "-")
            if serving is not None:
                # What has the traffic goes on, and is looked after: restarts, scaling, its status.
                return await self._bring(service, service.status.model, serving, blocked)
            mark, now = blocked.mark, self.clock.now()
            self.journal.blocked(service, blocked)
            self.journal.write(service, lambda one: mark(one, now).mark_not_serving(now))
            return None

    async def _bring(
        self, service: ModelService, model: ResolvedModel | None, revision: Revision, blocked: Blocked | None = None
    ) -> datetime | None:
        """Where it is declared to run."""
        if service.spec.cluster == LOCAL:
            if service.status.cluster != LOCAL and _lives_here(find(self.store, Route, service.name), revision):
                await self.rolling.remove(service)
            return await self._roll(service, model, revision, blocked)
        wake_at = await self.rolling.roll(service, model, revision, blocked)
        await self._collect(service, revision.name)
        return wake_at

    async def _resolve(self, service: ModelService) -> ResolvedModel | None:
        if service.spec.model is None:
            return None
        name, ref = split_reference(service.spec.model)
        model = find(self.store, Model, name)
        version = await asyncio.to_thread(version_of, self.versions, model, ref) if model is not None else None
        if version is None:
            if model is None:
                raise Blocked("ModelNotAvailable", f"there is no model {name}: a ModelJob makes one, or a Model")
            raise Blocked("ModelNotAvailable", f"model {name} has no version {ref!r} ({model.versions_in_words()})")
        trusted = version.origin == "job" or version.trusted or service.spec.allow_pickle
        if is_pickle(version.format) and not trusted:
            raise Blocked(
                "PickleNotTrusted",
                f"{name}:{version.number} is a pickle ({version.format}) that was not trained here: loading it runs "
                "whatever code it holds\ntrust it with allowPickle: true in the ModelService, or pull or import it "
                "again with --trust, or convert it to skops or ONNX",
                final=True,
            )
        return ResolvedModel(
            name=name,
            version=version.number,
            digest=version.digest,
            format=version.format,
            origin=version.origin,
            trusted=version.trusted,
        )

    def _revision(self, service: ModelService, model: ResolvedModel | None) -> Revision:
        template = service.spec.template()
        document = template.model_dump(mode="json")
        # How the files were chosen is not what runs: only the snapshot's digest is.
        document["source"] = template.source.digest if template.source else None
        document["model"] = model.digest if model else None
        if service.spec.cluster != LOCAL:
            document["cluster"] = service.spec.cluster
        digest = "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        mine = self._revisions(service)
        known = next((one for one in mine if one.spec.hash == digest), None)
        if known is not None:
            return known
        number = max((one.spec.number for one in mine), default=0) + 1
        spec = RevisionSpec(
            service=service.name,
            number=number,
            template=template,
            model=model,
            hash=digest,
            cluster=service.spec.cluster,
        )
        made = ensure(self.store, Revision(metadata=ObjectMeta(name=f"{service.name}-{number:05d}"), spec=spec))
        before = max(mine, key=lambda one: one.spec.number, default=None)
        changed = template_changes(before.spec, spec) if before is not None else {}
        why = ": " + ", ".join(in_words(changed)) if changed else ""
        data = {"revision": made.name, "uid": made.metadata.uid, "hash": digest, "changed": changed}
        self.recorder.decision(subject_of(service), "RevisionMade", f"{made.name} was made{why}", data, once=True)
        return made

    def _revisions(self, service: ModelService) -> Sequence[Revision]:
        return self.store.of(Revision, service.name)

    async def _roll(
        self, service: ModelService, model: ResolvedModel | None, revision: Revision, blocked: Blocked | None = None
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
        steady = self.clock.steady_since()
        decided = step(wanted, seen, route.spec.backends, route.status.live_backends, now, steady)
        # Processes first: a hub killed between the two repeats the step, and takes no old end for a new one's.
        await self._scale(seen, decided)
        self.journal.restarts(service, [(one.revision.name, one.observed) for one in seen])
        if blocked is not None:
            self.journal.blocked(service, blocked)
        for name, outcome in decided.transitions.items():
            self.journal.transition(service, name, outcome, wanted.retry, now)
        route = self._route(service, decided) or route
        self._status(service, model, wanted, {one.revision.name: one.observed for one in seen}, route, blocked)
        await self._collect(service, wanted.revision)
        # A transition is the input of the next step: the store's change wakes this service again.
        return decided.wake_at

    async def _see(self, revision: Revision) -> RevisionSeen:
        draining = revision.status.phase == "Draining"
        active = await self.gateway.active(revision.name) if draining else None
        return RevisionSeen(revision, await self.cluster.observe(revision.name), active)

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
        blocked: Blocked | None,
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
                progress = _progress(revision, observed.get(wanted.revision), route)
                one = rolled(one, revision, model, serving, route.status.url, progress, now)
            if not serving and one.status.cluster != LOCAL:
                return one  # while it moves here, what serves is elsewhere
            if serving or one.status.ready_revision:
                environment = running.environment if running else one.status.environment
                notes = "; ".join(running.notes) if running else ""
                one = one.with_status(one.status.model_copy(update={"cluster": LOCAL, "addresses": ()}))
                one = one.mark_serving(
                    ready=ready,
                    wanted=service.spec.replicas,
                    url=route.status.url,
                    environment=environment,
                    message=notes,
                    now=now,
                )
            else:
                one = one.mark_not_serving(now)
            return one

        before, after = service.status.ready_revision, change(service).status.ready_revision
        if after != before:
            self.journal.live(service, before, revision)
        self.journal.write(service, change)

    async def _collect(self, service: ModelService, wanted: str) -> None:
        retired = [
            one for one in self._revisions(service) if one.status.phase in ("Retired", "Failed") and one.name != wanted
        ]
        retired.sort(key=lambda one: one.spec.number)
        for one in retired:
            if one.status.phase == "Failed":
                await self.cluster.delete(one.name)
        now, rule = self.clock.now(), self.retention.revisions
        ended = [Ended(one.name, _since(one) or now) for one in retired]
        forgotten = surplus(ended, rule, now, needed=(service.status.ready_revision,))
        for name in forgotten:
            self.store.delete("Revision", name)
        if forgotten:
            message = f"removed {', '.join(forgotten)}: {rule.in_words('retired and failed revisions')}"
            data = {"removed": list(forgotten), "ended": len(ended), **asdict(rule)}
            self.recorder.decision(subject_of(service), "Forgotten", message, data)

    async def _remove(self, service: ModelService) -> None:
        route = find(self.store, Route, service.name)
        if route is not None:
            self.store.delete("Route", route.name)
        revisions = self._revisions(service)
        left = [one for one in revisions if await self.cluster.observe(one.name) is not None]
        for one in left:
            await self.cluster.delete(one.name)
        if await self.rolling.remove(service) and not left:
            for one in revisions:
                self.store.delete("Revision", one.name)
            by = self.recorder.by(subject_of(service))
            self.recorder.ledger(subject_of(service), "Deleted", f"{service.name} was deleted", {"by": by})
            self.recorder.forget(subject_of(service))
            update(self.store, ModelService, service.name, without_finalizer)


def _since(ended: Revision) -> datetime | None:
    """Since when it has no traffic."""
    ready = ended.status.condition("Ready")
    return ready.last_transition_time if ready is not None else ended.metadata.creation_timestamp


def _lives_here(route: Route | None, revision: Revision) -> bool:
    return route is not None and any(one.revision == revision.name for one in route.status.live_backends)


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
