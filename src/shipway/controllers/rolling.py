"""Services on clusters that exchange replicas by themselves: one workload a service, no route and no drain of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shipway.bundle import Observed
from shipway.controllers.clusters import Clusters
from shipway.controllers.objects import Objects
from shipway.controllers.service_journal import Blocked, ServiceJournal, rolled
from shipway.controllers.templates import service_workload, terms_of_service
from shipway.controllers.updates import find, forced_once
from shipway.errors import ClusterRefused, NotFound, UserError
from shipway.kinds import RETRY, FromSecret, ModelService, ResolvedModel, Revision, Route
from shipway.ports import Clock, Cluster
from shipway.rollout import Wanted, step_rolling
from shipway.rollout.rolling import Rolling

_SECRETS = timedelta(seconds=60)  # between looks at whether a secret has another value: nobody tells that

# What only a change of somebody mends, told as the condition of the service and not tried again without one.
_SAID = (UserError, ClusterRefused)


@dataclass(frozen=True, slots=True)
class RollingServices:
    """Gives a service's revision to its cluster, asks :func:`shipway.rollout.step_rolling`, writes the status once."""

    store: Objects
    clusters: Clusters
    clock: Clock
    journal: ServiceJournal

    async def roll(
        self, service: ModelService, model: ResolvedModel | None, revision: Revision, blocked: Blocked | None = None
    ) -> datetime | None:
        """Bring it nearer. ``blocked``: nothing new can be rolled out, and ``revision`` is the one that serves."""
        try:
            cluster = self.clusters.of(service.spec.cluster)
        except NotFound as missing:
            raise Blocked("ClusterNotFound", str(missing)) from None
        refused = blocked or await self._apply(service, revision, cluster)
        observed = await cluster.observe(service.name)
        now = self.clock.now()
        revisions = self.store.of(Revision, service.name)
        retry = service.metadata.annotations.get(RETRY, "")
        spec = service.spec
        wanted = Wanted(revision.name, spec.replicas, spec.rollout.progress_deadline, drain=0.0, retry=retry)
        decided = step_rolling(
            wanted, revisions, service.status.ready_revision, observed, now, self.clock.steady_since()
        )
        if refused is not None and blocked is None:
            decided = decided.refused(revision, refused.reason, refused.message)
        self.journal.restarts(service, [(revision.name, observed)])
        for name, outcome in decided.transitions.items():
            self.journal.transition(service, name, outcome, retry, now)
        if decided.live == revision.name:
            await self._leave_others(service)
        self._status(service, model, revision.name, decided, observed, refused)
        return decided.wake_at or (now + _SECRETS if _has_secrets(revision) else None)

    async def _apply(self, service: ModelService, revision: Revision, cluster: Cluster) -> Blocked | None:
        """What the cluster does not take becomes a condition; what it cannot hear is tried again by the queue."""
        try:
            await cluster.apply(service_workload(service, revision), terms_of_service(service, revision))
        except _SAID as error:
            reason = error.reason if isinstance(error, ClusterRefused) and error.reason else error.code
            return Blocked(reason, str(error), final=True)
        forced_once(self.store, service)
        return None

    def _status(
        self,
        service: ModelService,
        model: ResolvedModel | None,
        wanted: str,
        decided: Rolling,
        observed: Observed | None,
        refused: Blocked | None,
    ) -> None:
        now = self.clock.now()
        revision = find(self.store, Revision, wanted)
        if revision is None:
            return
        serving = find(self.store, Revision, decided.live or "-")

        def change(one: ModelService) -> ModelService:
            if refused is not None:
                one = refused.mark(one, now)
            else:
                progress = _progress(observed, revision.name)
                one = rolled(one, revision, model, decided.live, _url(observed), progress, now)
            if serving is None:
                return one.mark_not_serving(now)
            # While it moves here, what serves is elsewhere: this place has nothing to say of it.
            return _serving(one, service, observed, now) if serving.spec.cluster == service.spec.cluster else one

        before, after = service.status.ready_revision, decided.live
        if after and after != before:
            self.journal.live(service, before, revision)
        if refused is not None:
            self.journal.blocked(service, refused)
        self.journal.write(service, change)

    async def _leave_others(self, service: ModelService) -> None:
        """It lives here now: what is left of it in the place where it was is stopped."""
        before = service.status.cluster
        if before == service.spec.cluster:
            return
        if find(self.store, Route, service.name) is not None:
            self.store.delete("Route", service.name)
        for place in self.clusters.known([before]):
            for name in (service.name, *(one.name for one in self.store.of(Revision, service.name))):
                if await place.observe(name) is not None:
                    await place.delete(name)

    async def remove(self, service: ModelService) -> bool:
        """Stop it wherever it may run but here; whether nothing of it is left."""
        gone = True
        for place in self.clusters.known([service.spec.cluster, service.status.cluster]):
            if place is not self.clusters.local and await place.observe(service.name) is not None:
                await place.delete(service.name)
                gone = False
        return gone


def _has_secrets(revision: Revision) -> bool:
    return any(isinstance(one, FromSecret) for one in revision.spec.template.env.values())


def _serving(service: ModelService, declared: ModelService, observed: Observed | None, now: datetime) -> ModelService:
    ready = len(observed.ready) if observed else 0
    wanted = observed.wanted if observed is not None and observed.wanted is not None else declared.spec.replicas
    told = list(observed.notes) if observed is not None else []
    if observed is not None and observed.stale_since is not None:
        told.append(f"as last seen {observed.stale_since:%Y-%m-%d %H:%M:%S} UTC")  # why is in the notes
    elif observed is not None and observed.message and ready < wanted:
        told.append(observed.message)
    status = service.status.model_copy(
        update={"cluster": declared.spec.cluster, "addresses": observed.addresses if observed else ()}
    )
    return service.with_status(status).mark_serving(
        ready=ready,
        wanted=wanted,
        url=_url(observed),
        environment=observed.environment if observed else service.status.environment,
        message="; ".join(told),
        now=now,
    )


def _url(observed: Observed | None) -> str:
    """Where anybody may ask; a service that only its cluster can reach is asked through a forwarded port."""
    found: Sequence[str] = observed.addresses if observed else ()
    return next((one for one in found if one.startswith(("http://", "https://")) and ".svc" not in one), "")


def _progress(observed: Observed | None, revision: str) -> str:
    if observed is None:
        return "the cluster is making it"
    ready = sum(one.revision == revision for one in observed.ready)
    wanted = observed.wanted if observed.wanted is not None else len(observed.replicas)
    told = f"{ready} of {wanted} replicas of {revision} are ready"
    return f"{told}: {observed.message}" if observed.message else told
