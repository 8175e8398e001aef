"""What ``why`` and ``models history`` read: the journal entries that belong to an object, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shipway.controllers import gateway, retention
from shipway.controllers.listings import ListingOf
from shipway.controllers.model import no_model
from shipway.controllers.updates import all_of, find
from shipway.errors import Corrupt, NotFound
from shipway.explain import FileChanges, History, Story, compared, history, snapshot_pairs, story
from shipway.kinds import KINDS, Model, ModelJob, ModelService, Object, Revision, Route, split_reference
from shipway.ports import Clock, Entry, Journal, Store

_MOST = 1000  # entries of one subject that are told: the newest
_LEDGER = 10_000
_OF_VERSIONS = frozenset({"Succeeded", "CacheHit", "NoOutput", "OutputRefused", "PackingDelayed"})


@dataclass(frozen=True, slots=True)
class Stories:
    """Reads only. Blocking: call it from a thread."""

    store: Store
    journal: Journal
    listing: ListingOf
    clock: Clock

    def why(self, kind: str, name: str, since: datetime | None = None) -> Story:
        """The story of an object, also of one that was deleted. Raises NotFound when nothing is known of it."""
        obj = find(self.store, KINDS[kind], name)
        entries = sorted(
            {one.id: one for one in self._entries(kind, name, obj, since)}.values(), key=lambda one: one.id
        )
        if obj is None and not entries and not self.journal.entries(subject=f"{kind}/{name}", limit=1):
            raise NotFound(
                f"there is no {kind} {name!r}, and the journal tells nothing of one", next_step="see shipway status"
            )
        objects = [obj, *self._needed(obj)] if obj is not None else []
        return story(f"{kind}/{name}", entries, objects, self.clock.now(), self._files(entries))

    def history(self, model: str, at: datetime | None = None) -> History:
        """What the versions of a model were and what happened to them; with ``at``, only what held at that time.

        Raises NotFound when there never was such a model.
        """
        services = (one for one in self._ledger(None) if not one.subject.startswith("Model/"))
        own = self.journal.entries(subject=f"Model/{model}", type="ledger", limit=_LEDGER, newest=True)
        told = history(model, sorted([*services, *own], key=lambda one: one.id))
        if told == History() and find(self.store, Model, model) is None:
            raise no_model(self.store, model)
        return told if at is None else told.at(at)

    def _entries(self, kind: str, name: str, obj: Object | None, since: datetime | None) -> Iterable[Entry]:
        own = self._of(f"{kind}/{name}", since)
        yield from own
        match kind:
            case "ModelJob":
                models = {one.data["model"] for one in own if one.data.get("model")}
                if isinstance(obj, ModelJob) and obj.spec.model:
                    models.add(obj.spec.model)
                for model in models:
                    yield from (one for one in self._of(f"Model/{model}", since) if one.data.get("job") == name)
            case "Model":
                jobs = {one.data["job"] for one in own if one.data.get("job")}
                jobs |= {one.name for one in all_of(self.store, ModelJob) if one.spec.model == name}
                for job in jobs:
                    yield from (one for one in self._of(f"ModelJob/{job}", since) if one.reason in _OF_VERSIONS)
                yield from (one for one in self._ledger(since) if _served(one) == name)
            case "ModelService":
                yield from self._of(f"Route/{name}", since)
                yield from self._of_gateway(own, since)
                yield from self._of_models(own, obj, since)
            case "Revision":
                service = obj.spec.service if isinstance(obj, Revision) else name.rpartition("-")[0]
                mentions = ("revision", "from", "to")
                lines = self._of(f"ModelService/{service}", since)
                yield from (one for one in lines if name in [one.data.get(key) for key in mentions])
            case "Route":
                yield from self._of(gateway.SUBJECT, since)
            case "Cluster":
                yield from self._of(retention.SUBJECT, since)

    def _of(self, subject: str, since: datetime | None, type_: str | None = None) -> list[Entry]:
        return self.journal.entries(subject=subject, type=type_, since=since, limit=_MOST, newest=True)

    def _of_gateway(self, own: list[Entry], since: datetime | None) -> Iterable[Entry]:
        """Ends of Envoy broke requests of every service that there was."""
        begin = own[0].at if own else None
        yield from (one for one in self._of(gateway.SUBJECT, since, "event") if begin is not None and one.at >= begin)

    def _of_models(self, own: list[Entry], obj: Object | None, since: datetime | None) -> Iterable[Entry]:
        served = {_served(one) for one in own} - {""}
        if isinstance(obj, ModelService) and obj.spec.model:
            served.add(split_reference(obj.spec.model)[0])
        for model in served:
            yield from (
                one
                for one in self._of(f"Model/{model}", since)
                if one.type == "ledger" or one.reason.startswith("Gate")
            )

    def _ledger(self, since: datetime | None) -> list[Entry]:
        return self.journal.entries(type="ledger", since=since, limit=_LEDGER, newest=True)

    def _needed(self, obj: Object) -> Iterable[Object]:
        """What an object depends on, where its trouble can be."""
        if isinstance(obj, ModelJob) and obj.spec.model:
            found: list[Object | None] = [find(self.store, Model, obj.spec.model)]
        elif isinstance(obj, ModelService):
            found = [find(self.store, Route, obj.name), find(self.store, Revision, obj.status.latest_revision or "-")]
        else:
            found = []
        return (one for one in found if one is not None)

    def _files(self, entries: list[Entry]) -> Mapping[tuple[str, str], FileChanges]:
        return {pair: self._compared(*pair) for pair in snapshot_pairs(entries)}

    def _compared(self, before: str, after: str) -> FileChanges:
        try:
            return compared(self.listing(before), self.listing(after))
        except (NotFound, Corrupt):
            return FileChanges(known=False)


def _served(entry: Entry) -> str:
    """The model whose version went live with this line of the ledger."""
    model = entry.data.get("model")
    return model["name"] if entry.reason == "Live" and model else ""
