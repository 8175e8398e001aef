"""Model: the status mirrors the layout; files that a user brings become a version."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from shipway.controllers.recorder import NOBODY, Recorder, subject_of
from shipway.controllers.updates import all_of, ensure, find, is_leaving, update, with_finalizer, without_finalizer
from shipway.errors import NotFound, ShipwayError, UserError
from shipway.jobs import Verdict
from shipway.kinds import CHAMPION, LATEST, Model, ModelJob, ModelVersion, ObjectMeta
from shipway.kinds.model import ModelStatus
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
        await self._mirror(model)
        return None

    async def _mirror(self, model: Model) -> None:
        mirror, generation = await mirroring(self.versions, model, self.clock.now()), model.metadata.generation
        # Read again: another may have moved the champion meanwhile.
        model = find(self.store, Model, model.name) or model
        mirrored = mirror(model)
        aliases = {alias: number for alias, number in mirrored.status.aliases.items() if alias != LATEST}
        if _current(model) and _shown(mirrored) == _shown(model):
            await asyncio.to_thread(self.versions.remember_aliases, model.name, aliases)
            return
        old, new = (one.status.aliases.get(CHAMPION) for one in (model, mirrored))
        if old != new:
            why = "the newest version that passed its gate, of those that are on this disk"
            move_champion(self.recorder, model, old, new, why, {"by": NOBODY})
        update(self.store, Model, model.name, lambda one: mirror(one).observed_at(generation))

    def mirror_all(self) -> None:
        """Every model of the layout has an object: after a lost store the versions and their names are still there."""
        for name in self.versions.names():
            status = ModelStatus(aliases=dict(self.versions.aliases(name)))
            ensure(self.store, Model(metadata=ObjectMeta(name=name), status=status))

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
        numbers = {"version": version.number, "digest": version.digest, "size": version.size, "source": digest}
        message = f"{model.name}:{version.number} was made of the files of spec.source ({version.size} bytes)"
        cause = Cause(self.recorder.by(subject_of(model)), generation=model.metadata.generation, uid=model.metadata.uid)
        told = {**numbers, "by": cause.by, "uid": cause.uid, "generation": cause.generation}
        self.recorder.ledger(subject_of(model), "Imported", message, told, once=True)
        await judge_version(self.store, self.recorder, self.versions, model.name, version.number, verdict, cause, now)
        self._write(model, lambda one: one.mark_imported(digest))

    def _write(self, model: Model, change: Callable[[Model], Model]) -> None:
        # Files that were applied meanwhile are imported next: this import must not claim their generation.
        update(self.store, Model, model.name, lambda one: change(one).observed_at(model.metadata.generation))


def _shown(model: Model) -> tuple[object, ...]:
    return model.status.count, model.status.versions, model.status.aliases


def _current(model: Model) -> bool:
    ready = model.status.condition("Ready")
    return ready is not None and ready.observed_generation == model.metadata.generation


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a version is judged: who asked for it, and the job's run that made it (none for an import).

    ``generation`` and ``uid`` are those of the job or model that was applied (none for ``shipway models import``).
    """

    by: str
    job: str = ""
    run: str = ""
    generation: int = 0
    uid: str = ""


async def mirroring(
    versions: Versions, model: Model, now: datetime, change: Callable[[Model], Model] = lambda one: one
) -> Callable[[Model], Model]:
    """The change after which the model's status shows what the layout holds; ``change`` comes first."""
    listed, count = await asyncio.to_thread(_listing, versions, change(model))
    return lambda one: change(one).mark_versions(listed, now, count=count)


def _listing(versions: Versions, model: Model) -> tuple[tuple[ModelVersion, ...], int]:
    there = versions.numbers(model.name)
    listed = versions.list(model.name, model.listed(there))
    if CHAMPION not in model.status.aliases and all(one.gate == "failed" for one in listed):
        passed = next((one for one in versions.newest(model.name) if one.gate != "failed"), None)
        listed = (passed, *listed) if passed is not None else listed
    return listed, len(there)


async def judge_version(
    store: Store,
    recorder: Recorder,
    versions: Versions,
    name: str,
    number: int,
    verdict: Verdict,
    cause: Cause,
    now: datetime,
) -> None:
    """Record the verdict on a version, mirror the versions, and move the champion if it passed.

    A champion that fails a stricter gate stays: the gate decides who is rolled out, not who is taken down.
    """
    promote = (lambda one: one.mark_alias(CHAMPION, number)) if verdict.promoted else (lambda one: one)
    await asyncio.to_thread(versions.judge, name, number, verdict.gate, verdict.reason)
    fresh = Model(metadata=ObjectMeta(name=name))
    change = await mirroring(versions, find(store, Model, name) or fresh, now, promote)
    # From here on nobody comes in between: another pass would see the champion before and move it, too.
    before = ensure(store, fresh)
    old, new = (one.status.aliases.get(CHAMPION) for one in (before, change(before)))
    told = {"model": name, "version": number, **asdict(cause), **verdict.data}
    if verdict.gate != "none":
        reason = "GatePassed" if verdict.promoted else "GateFailed"
        recorder.decision(subject_of(before), reason, f"{name}:{number}: {verdict.reason}", told, once=True)
    if old != new:
        move_champion(recorder, before, old, new, verdict.reason, {**asdict(cause), "gate": verdict.gate})
    update(store, Model, name, change)


def move_champion(
    recorder: Recorder, model: Model, old: int | None, new: int | None, why: str, data: Mapping[str, Any]
) -> None:
    """Say in the ledger that another version is champion. Call it before the change is written to the store."""
    message = f"champion is {model.name}:{new} now: {why}"
    recorder.ledger(subject_of(model), "ChampionMoved", message, {"from": old, "to": new, "why": why, **data})


def version_of(versions: Versions, model: Model, ref: str) -> ModelVersion | None:
    """The version by number or alias, listed in the status or not; None when it is not there."""
    number = model.number(ref)
    known = model.version(ref)
    return known if known or number is None else next(iter(versions.list(model.name, (number,))), None)


def found_model(store: Store, name: str) -> Model:
    """The model. Raises NotFound that names the nearest."""
    model = find(store, Model, name)
    if model is None:
        raise no_model(store, name)
    return model


def no_model(store: Store, name: str) -> NotFound:
    """The error that there is no such model."""
    close = difflib.get_close_matches(name, [one.name for one in all_of(store, Model)], n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return NotFound(f"there is no model {name!r}", next_step=f"{hint}see `shipway models`")


def found_version(versions: Versions, model: Model, ref: str) -> ModelVersion:
    """The version by number or alias. Raises NotFound that names the newest ones."""
    found = version_of(versions, model, ref)
    if found is None:
        words = model.versions_in_words()
        raise NotFound(f"model {model.name} has no version {ref!r}", next_step=words)
    return found


def rival_of(
    store: Store, versions: Versions, job: ModelJob, besides: int | None = None
) -> tuple[str, Mapping[str, float] | None]:
    """The version that ``notWorseThan`` names, and its metrics; None when there is none besides this one."""
    gate, name = job.spec.evaluate, job.spec.model
    if gate is None or gate.not_worse_than is None or name is None:
        return "", None
    model = find(store, Model, name)
    rival = version_of(versions, model, gate.not_worse_than) if model is not None else None
    if rival is None or rival.number == besides:
        return "", None
    return f"{name}:{rival.number}", rival.metrics
