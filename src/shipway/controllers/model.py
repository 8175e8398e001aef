"""Model: the status mirrors the layout; files that a user brings become a version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.updates import ensure, find, is_leaving, update, with_finalizer, without_finalizer
from shipway.errors import ShipwayError, UserError
from shipway.jobs import Verdict
from shipway.kinds import CHAMPION, Model, ModelJob, ModelVersion, ObjectMeta
from shipway.models import Lineage, Versions
from shipway.ports import Artifacts, Clock, Store


@dataclass(frozen=True, slots=True)
class ModelController:
    """Mirrors versions into the status, and imports ``spec.source``."""

    store: Store
    clock: Clock
    versions: Versions
    artifacts: Artifacts
    recorder: Recorder

    async def reconcile(self, name: str) -> datetime | None:
        """Bring one model's status up to the layout's state."""
        model = update(self.store, Model, name, lambda one: one if is_leaving(one) else with_finalizer(one))
        if model is None:
            return None
        if is_leaving(model):
            await asyncio.to_thread(self.versions.remove, name)
            self.recorder.ledger(subject_of(model), "ModelDeleted", f"{name} and its versions were deleted")
            update(self.store, Model, name, without_finalizer)
            return None
        source = model.spec.source.digest if model.spec.source is not None else None
        if source is not None and source != model.status.source:
            await self._import(model, source)
            return None
        listed = await asyncio.to_thread(self.versions.list, name)
        if [one.digest for one in listed] != [one.digest for one in model.status.versions] or not _current(model):
            generation = model.metadata.generation
            update(
                self.store, Model, name, lambda one: one.mark_versions(listed, self.clock.now()).observed_at(generation)
            )
        return None

    def mirror_all(self) -> None:
        """Every model of the layout has an object: after a lost store the versions are still there."""
        for name in self.versions.names():
            ensure(self.store, Model(metadata=ObjectMeta(name=name)))

    async def _import(self, model: Model, digest: str) -> None:
        now = self.clock.now()
        try:
            folder = await asyncio.to_thread(self.artifacts.materialise, digest)
            lineage = Lineage(origin="import", source=digest, created_at=now)
            version = await asyncio.to_thread(self.versions.pack, model.name, folder, lineage)
        except UserError as error:
            message = str(error)
            self._write(model, lambda one: one.mark_import_failed(digest, message, now))
            return
        except ShipwayError as error:
            message = str(error)
            self._write(model, lambda one: one.mark_import_delayed(message, now))
            raise
        verdict = Verdict("none", "imported")
        listed = await asyncio.to_thread(self.versions.list, model.name)
        judge_version(self.store, self.recorder, model.name, listed, version.number, verdict, now)
        self._write(model, lambda one: one.mark_imported(digest))

    def _write(self, model: Model, change: Callable[[Model], Model]) -> None:
        # Files that were applied meanwhile are imported next: this import must not claim their generation.
        update(self.store, Model, model.name, lambda one: change(one).observed_at(model.metadata.generation))


def _current(model: Model) -> bool:
    ready = model.status.condition("Ready")
    return ready is not None and ready.observed_generation == model.metadata.generation


def judge_version(
    store: Store,
    recorder: Recorder,
    name: str,
    listed: tuple[ModelVersion, ...],
    number: int,
    verdict: Verdict,
    now: datetime,
) -> None:
    """Mirror the versions, record the verdict on one of them, and move the champion if it passed."""

    def change(one: Model) -> Model:
        return one.mark_versions(listed, now).mark_judged(number, verdict.gate, verdict.reason)

    before = ensure(store, Model(metadata=ObjectMeta(name=name)))
    old, new = before.status.aliases.get(CHAMPION), change(before).status.aliases.get(CHAMPION)
    if old != new:
        data = {"from": old, "to": new, "gate": verdict.gate}
        message = f"champion is {name}:{new} now: {verdict.reason}"
        recorder.ledger(subject_of(before), "ChampionMoved", message, data)
    update(store, Model, name, change)


def rival_of(store: Store, job: ModelJob, besides: int | None = None) -> tuple[str, Mapping[str, float] | None]:
    """The version that ``notWorseThan`` names, and its metrics; None when there is none besides this one."""
    gate, name = job.spec.evaluate, job.spec.model
    if gate is None or gate.not_worse_than is None or name is None:
        return "", None
    model = find(store, Model, name)
    rival = model.version(gate.not_worse_than) if model is not None else None
    if rival is None or rival.number == besides:
        return "", None
    return f"{name}:{rival.number}", rival.metrics
