"""Undo: a service declares again what an earlier revision was. The service's controller does the rest, as after an
apply: on this machine and in clusters alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.controllers.model import version_of
from shipway.controllers.objects import Objects
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.revisions import in_words, template_changes
from shipway.controllers.updates import find, update
from shipway.errors import NotFound, Refused
from shipway.kinds import RETRY, Model, ModelService, ResolvedModel, Revision, split_reference
from shipway.models import Versions
from shipway.ports import Clock
from shipway.rollout.undo import Back, back


@dataclass(frozen=True, slots=True)
class Undo:
    """Goes back to revisions that are kept (docs/retention.md)."""

    store: Objects
    versions: Versions
    recorder: Recorder
    clock: Clock

    async def undo(self, service: str, *, to: str, by: str) -> Mapping[str, Any]:
        """Declare what revision ``to`` was; "" is the one before the present one. Raises NotFound, Refused."""
        present = find(self.store, ModelService, service)
        if present is None:
            raise NotFound(f"there is no service {service!r}", next_step="see `shipway services`")
        if present.metadata.deletion_timestamp is not None:
            raise Refused(f"service {service!r} is being deleted")
        going = back(present, self.store.of(Revision, service), to)
        await self._check_model(going)
        written = self._write(present, going, by)
        changed = self._changed(going)
        return {
            "service": service,
            "from": going.present,
            "to": going.revision.name,
            "generation": written.metadata.generation,
            "changed": list(changed),
            "message": _told(present, going, changed),
        }

    async def _check_model(self, going: Back) -> None:
        """The version may have been removed meanwhile: better said now than by a rollout that waits for it."""
        model = going.revision.spec.model
        if model is None:
            return
        known = find(self.store, Model, model.name)
        version = await asyncio.to_thread(version_of, self.versions, known, str(model.version)) if known else None
        if version is None:
            raise Refused(
                f"{going.revision.name} served {going.pinned}, and that version was removed",
                next_step="Choose another revision: shipway get revisions, then --to NAME.",
            )

    def _write(self, service: ModelService, going: Back, by: str) -> ModelService:
        now, again = self.clock.now().isoformat(), going.revision.status.phase == "Failed"

        def change(one: ModelService) -> ModelService:
            if one.metadata.uid != service.metadata.uid:
                return one
            annotations = {**one.metadata.annotations, **({RETRY: now} if again else {})}
            metadata = one.metadata.model_copy(update={"annotations": annotations})
            return one.model_copy(update={"metadata": metadata, "spec": going.spec})

        # Said first: the rollout that follows asks the journal by whom it was.
        message, data = f"back from {going.present} to {going.revision.name}, by {by}", {"to": going.revision.name}
        self.recorder.asked(subject_of(service), "UndoAsked", message, by, {**data, "from": going.present})
        written = update(self.store, ModelService, service.name, change)
        if written is None:
            raise NotFound(f"service {service.name!r} was deleted meanwhile")
        return written

    def _changed(self, going: Back) -> tuple[str, ...]:
        before = find(self.store, Revision, going.present)
        return tuple(in_words(template_changes(before.spec, going.revision.spec))) if before is not None else ()


def _told(service: ModelService, going: Back, changed: tuple[str, ...]) -> str:
    """``digits goes back to digits-00001: model digits:2 -> digits:1``, and what became of an alias."""
    what = f": {', '.join(changed)}" if changed else ""
    told = f"{service.name} goes back from {going.present} to {going.revision.name}{what}"
    if followed := _alias(service, going.revision.spec.model):
        told += f"\nits model is {going.pinned} now, and follows {followed} again after the next `shipway up`"
    return told


def _alias(service: ModelService, model: ResolvedModel | None) -> str:
    """What it followed: ``digits`` or ``digits:latest``; empty for a number, and without a model."""
    if model is None or service.spec.model is None:
        return ""
    _, ref = split_reference(service.spec.model)
    return "" if ref.isdigit() else service.spec.model
