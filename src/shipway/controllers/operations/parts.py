"""What the operations on versions share: the ports that they join, and the questions that several of them ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from shipway.controllers.model import found_model, found_version, mirroring, move_champion
from shipway.controllers.recorder import Recorder
from shipway.controllers.updates import ensure, find, is_leaving, update
from shipway.errors import Conflict, NotFound
from shipway.kinds import CHAMPION, Model, ModelVersion, ObjectMeta
from shipway.models import Versions
from shipway.oci import Descriptor, Layout
from shipway.oci.registry.client import Registry
from shipway.ports import Clock, Store

NewRegistry = Callable[[bool], Registry]  # whether to speak HTTP without TLS with other machines


@dataclass(frozen=True, slots=True)
class Parts:
    """The ports."""

    store: Store
    layout: Layout
    versions: Versions
    recorder: Recorder
    clock: Clock
    registry: NewRegistry

    async def version(self, name: str, ref: str) -> tuple[ModelVersion, Descriptor]:
        """A version by number or alias, and what names it in the layout, without what this home says of it. Raises
        NotFound."""
        model = found_model(self.store, name)
        version = await asyncio.to_thread(found_version, self.versions, model, ref)
        entry = self.versions.numbers(name).get(version.number)
        if entry is None:  # removed, and the status does not say so yet
            raise NotFound(f"model {name} has no version {ref!r} any more", next_step="See `shipway models`.")
        return version, replace(entry, annotations={})

    def check_accepts(self, name: str) -> None:
        """Whether a model of that name may get a version, asked before work begins. Raises Conflict."""
        model = find(self.store, Model, name)
        if model is not None and is_leaving(model):
            raise Conflict(f"model {name} is being deleted", next_step="Try again when it is gone.")

    def model(self, name: str) -> Model:
        """The model that gets a version, made when there is none. Raises Conflict."""
        self.check_accepts(name)
        return ensure(self.store, Model(metadata=ObjectMeta(name=name)))

    async def trust(self, name: str, version: ModelVersion, by: str) -> None:
        """Somebody answers for a version that was not made here: services load it even if it is a pickle."""
        if version.trusted:
            return
        await asyncio.to_thread(self.versions.mark_trusted, name, version.number, by)
        message = f"{name}:{version.number} is trusted: services may load it though it was not made here"
        told = {"version": version.number, "digest": version.digest, "by": by}
        self.recorder.ledger(f"Model/{name}", "Trusted", message, told)

    async def show(self, name: str, why: str, by: str) -> Model:
        """Let the model's status show what the layout says of its versions. A model without a champion gets one."""
        fresh = Model(metadata=ObjectMeta(name=name))
        mirror = await mirroring(self.versions, find(self.store, Model, name) or fresh, self.clock.now())
        # From here on nobody comes in between: the controller would see no champion yet, and make one by itself.
        model = self.model(name)
        old, new = (one.status.aliases.get(CHAMPION) for one in (model, mirror(model)))
        if old != new:
            move_champion(self.recorder, model, old, new, why, {"by": by})
        generation = model.metadata.generation
        return update(self.store, Model, name, lambda one: mirror(one).observed_at(generation)) or model
