"""Model: the status mirrors the layout; files that a user brings become a version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from shipway.controllers.recorder import NOBODY, Recorder, subject_of
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
            by = self.recorder.by(subject_of(model))
            self.recorder.ledger(subject_of(model), "ModelDeleted", f"{name} and its versions were deleted", {"by": by})
            self.recorder.forget(subject_of(model))
            update(self.store, Model, name, without_finalizer)
            return None
        source = model.spec.source.digest if model.spec.source is not None else None
        if source is not None and source != model.status.source:
            await self._import(model, source)
            return None
        listed = await asyncio.to_thread(self.versions.list, name)
        if [one.digest for one in listed] != [one.digest for one in model.status.versions] or not _current(model):
            self._mirror(model, listed)
        return None

    def _mirror(self, model: Model, listed: tuple[ModelVersion, ...]) -> None:
        now, generation = self.clock.now(), model.metadata.generation
        old, new = (one.status.aliases.get(CHAMPION) for one in (model, model.mark_versions(listed, now)))
        if old != new:
            why = "the newest version that passed its gate, of those that are on this disk"
            _move_champion(self.recorder, model, old, new, why, {"by": NOBODY})
        update(self.store, Model, model.name, lambda one: one.mark_versions(listed, now).observed_at(generation))

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
            self.recorder.decision(
                subject_of(model), "ImportFailed", message, {"uid": model.metadata.uid, "source": digest}, once=True
            )
            self._write(model, lambda one: one.mark_import_failed(digest, message, now))
            return
        except ShipwayError as error:
            message = str(error)
            self.recorder.decision(subject_of(model), "ImportDelayed", message, {"source": digest})
            self._write(model, lambda one: one.mark_import_delayed(message, now))
            raise
        verdict = Verdict("none", "imported")
        listed = await asyncio.to_thread(self.versions.list, model.name)
        numbers = {"version": version.number, "digest": version.digest, "size": version.size, "source": digest}
        message = f"{model.name}:{version.number} was made of the files of spec.source ({version.size} bytes)"
        told = {**numbers, "uid": model.metadata.uid, "generation": model.metadata.generation}
        self.recorder.decision(subject_of(model), "Imported", message, told, once=True)
        cause = Cause(self.recorder.by(subject_of(model)), generation=model.metadata.generation, uid=model.metadata.uid)
        judge_version(self.store, self.recorder, model.name, listed, version.number, verdict, cause, now)
        self._write(model, lambda one: one.mark_imported(digest))

    def _write(self, model: Model, change: Callable[[Model], Model]) -> None:
        # Files that were applied meanwhile are imported next: this import must not claim their generation.
        update(self.store, Model, model.name, lambda one: change(one).observed_at(model.metadata.generation))


def _current(model: Model) -> bool:
    ready = model.status.condition("Ready")
    return ready is not None and ready.observed_generation == model.metadata.generation


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a version is judged: who asked for it, and the job's run that made it (none for an import).

    ``generation`` and ``uid`` are those of the job or model that was applied.
    """

    by: str
    job: str = ""
    run: str = ""
    generation: int = 0
    uid: str = ""


def judge_version(
    store: Store,
    recorder: Recorder,
    name: str,
    listed: tuple[ModelVersion, ...],
    number: int,
    verdict: Verdict,
    cause: Cause,
    now: datetime,
) -> None:
    """Mirror the versions, record the verdict on one of them, and move the champion if it passed."""

    def change(one: Model) -> Model:
        return one.mark_versions(listed, now).mark_judged(number, verdict.gate, verdict.reason)

    before = ensure(store, Model(metadata=ObjectMeta(name=name)))
    old, new = before.status.aliases.get(CHAMPION), change(before).status.aliases.get(CHAMPION)
    told = {"model": name, "version": number, **asdict(cause), **verdict.data}
    if verdict.gate != "none":
        reason = "GatePassed" if verdict.promoted else "GateFailed"
        recorder.decision(subject_of(before), reason, f"{name}:{number}: {verdict.reason}", told, once=True)
    if old != new:
        _move_champion(recorder, before, old, new, verdict.reason, {**asdict(cause), "gate": verdict.gate})
    update(store, Model, name, change)


def _move_champion(
    recorder: Recorder, model: Model, old: int | None, new: int | None, why: str, data: Mapping[str, Any]
) -> None:
    message = f"champion is {model.name}:{new} now: {why}"
    recorder.ledger(subject_of(model), "ChampionMoved", message, {"from": old, "to": new, "why": why, **data})


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
