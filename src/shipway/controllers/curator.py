"""What a person does to versions by hand: gives them names, and takes them away. Who and why stand in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.controllers.model import found_model, found_version, mirroring, move_champion
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.updates import all_of, is_leaving, update
from shipway.errors import Conflict, NotFound, Refused, UserError
from shipway.kinds import CHAMPION, LATEST, Model, ModelService, ModelVersion, Revision, split_reference
from shipway.models import Versions
from shipway.ports import Clock, Store

MOST_ALIASES = 100  # of a model: the status lists the versions that they name

# Phases of revisions that start nothing any more: what still drains has its files unpacked already.
_GONE = ("Draining", "Retired", "Failed")


@dataclass(frozen=True, slots=True)
class Curator:
    """Aliases and removals. ``by`` is who asks, ``why`` their words."""

    store: Store
    versions: Versions
    recorder: Recorder
    clock: Clock

    async def tag(
        self, name: str, ref: str, alias: str, *, by: str, why: str = "", force: bool = False
    ) -> Mapping[str, Any]:
        """Let the alias name that version from now on; services that follow the alias roll to it.

        A champion that was made by hand stays until the gate lets a newer run pass, or files are imported: then those
        are champion. Raises NotFound, UserError, Conflict while the model is being deleted, and Refused for
        ``latest`` and, unless forced, for a champion whose gate failed.
        """
        check_free(alias)
        model = self._model(name)
        version = await asyncio.to_thread(found_version, self.versions, model, ref)
        reference = f"{name}:{version.number}"
        if alias == CHAMPION and version.gate == "failed" and not force:
            raise Refused(
                f"the gate held {reference} back: {version.gate_reason}",
                next_step="--force makes it champion all the same.",
            )
        if alias not in model.status.aliases and len(model.status.aliases) >= MOST_ALIASES:
            raise Refused(f"{name} has {MOST_ALIASES} aliases", next_step="Take one away: shipway models tag --delete.")
        old = await self._name(model, alias, version.number, by, why)
        return {"model": name, "alias": alias, "version": version.number, "before": old}

    async def untag(self, name: str, alias: str, *, by: str, why: str = "", force: bool = False) -> Mapping[str, Any]:
        """Take an alias away. Raises NotFound, and Refused for ``champion`` and ``latest`` and, unless forced, while a
        service follows it."""
        check_free(alias)
        model = self._model(name)
        if alias not in model.status.aliases:
            have = ", ".join(sorted(model.status.aliases)) or "none"
            raise NotFound(f"{name} has no alias {alias!r}", next_step=f"aliases: {have}")
        if alias == CHAMPION:
            raise Refused(
                f"{name} keeps a champion", next_step=f"Make another one: shipway models tag {name}:N champion"
            )
        following = [one.name for one in self._services(name) if split_reference(one.spec.model or "") == (name, alias)]
        if following and not force:
            raise Refused(
                f"{name}:{alias} is what {_list(following, 'service')} follows",
                next_step="Change their model first; with --force they keep what they serve, and wait.",
            )
        old = await self._name(model, alias, None, by, why)
        return {"model": name, "alias": alias, "version": None, "before": old}

    async def remove(self, name: str, ref: str, *, by: str, why: str = "", force: bool = False) -> Mapping[str, Any]:
        """Forget one version; its number never comes again, its files go with ``shipway gc``.

        Raises NotFound, and Refused while a service uses it, while it is champion and, unless forced (the aliases go
        with it), while another alias names it.
        """
        model = self._model(name)
        version = await asyncio.to_thread(found_version, self.versions, model, ref)
        aliases = self._check_unused(model, version, force=force)
        reference = f"{name}:{version.number}"
        for alias in aliases:
            self._say_moved(model, alias, version.number, None, by, why or f"{reference} was removed")
        told = {"version": version.number, "digest": version.digest, "pushed": list(version.pushed)}
        message = f"{reference} was removed{': ' + why if why else ''}"
        self.recorder.ledger(subject_of(model), "VersionRemoved", message, {**told, "by": by, "why": why})
        await asyncio.to_thread(self.versions.discard, name, version.number)

        def change(one: Model) -> Model:
            for alias in aliases:
                one = one.mark_alias(alias, None)
            return one

        update(self.store, Model, name, await mirroring(self.versions, model, self.clock.now(), change))
        return {"model": name, **told, "aliases": aliases}

    def remove_model(self, name: str, *, by: str) -> Mapping[str, Any]:
        """Delete a model with all its versions. Raises NotFound, and Refused while a service uses it."""
        model = found_model(self.store, name)
        using = [one.name for one in self._services(name)]
        if using:
            raise Refused(
                f"{name} is the model of {_list(using, 'service')}",
                next_step=f"Delete what uses it first: shipway delete service {using[0]}",
            )
        self.recorder.asked(subject_of(model), "DeleteAsked", f"to be deleted, by {by}", by)
        self.store.delete("Model", name)
        return {"model": name, "versions": model.status.count}

    def _model(self, name: str) -> Model:
        model = found_model(self.store, name)
        if is_leaving(model):
            raise Conflict(f"model {name} is being deleted", next_step="Try again when it is gone.")
        return model

    async def _name(self, model: Model, alias: str, number: int | None, by: str, why: str) -> int | None:
        """Move the alias; what it named before."""
        change = await mirroring(self.versions, model, self.clock.now(), lambda one: one.mark_alias(alias, number))
        # Read again: what was awaited may have taken long, and from here on nobody comes in between.
        old = found_model(self.store, model.name).status.aliases.get(alias)
        if old != number:
            self._say_moved(model, alias, old, number, by, why)
            update(self.store, Model, model.name, change)
        return old

    def _say_moved(self, model: Model, alias: str, old: int | None, new: int | None, by: str, why: str) -> None:
        if alias == CHAMPION:
            move_champion(self.recorder, model, old, new, why or "made champion by hand", {"by": by, "byHand": True})
            return
        named = (
            f"{alias} is {model.name}:{new} now" if new is not None else f"{model.name} has no alias {alias} any more"
        )
        data = {"alias": alias, "from": old, "to": new, "why": why, "by": by}
        self.recorder.ledger(subject_of(model), "AliasMoved", f"{named}{': ' + why if why else ''}", data)

    def _check_unused(self, model: Model, version: ModelVersion, *, force: bool) -> list[str]:
        """The aliases that go with the version. Raises Refused."""
        reference = f"{model.name}:{version.number}"
        using = sorted(set(self._users(model, version)))
        if using:
            raise Refused(
                f"{reference} is in use: {', '.join(using)}", next_step="Let them serve another version first."
            )
        aliases = sorted(
            alias for alias, number in model.status.aliases.items() if number == version.number and alias != LATEST
        )
        if CHAMPION in aliases:
            another = f"Make another one champion: shipway models tag {model.name}:N champion"
            whole = f"Remove the model: shipway models rm {model.name}"
            raise Refused(f"{reference} is champion", next_step=another if model.status.count > 1 else whole)
        if aliases and not force:
            raise Refused(
                f"{reference} is what the {_list(aliases, 'alias', 'aliases')} of {model.name} names",
                next_step="--force takes the names away with it.",
            )
        return aliases

    def _users(self, model: Model, version: ModelVersion) -> Iterable[str]:
        for service in self._services(model.name):
            name, ref = split_reference(service.spec.model or "-")
            wanted = model.number(ref) if name == model.name else None
            served = [one.version for one in (service.status.model, service.status.latest_model) if one is not None]
            if version.number in (wanted, *served):
                yield f"service {service.name}"
        for revision in all_of(self.store, Revision):
            of = revision.spec.model
            runs = revision.status.phase not in _GONE
            if runs and of is not None and (of.name, of.version) == (model.name, version.number):
                yield f"revision {revision.name}"

    def _services(self, model: str) -> list[ModelService]:
        """Those that declare the model, or still serve it."""
        return [
            one
            for one in all_of(self.store, ModelService)
            if split_reference(one.spec.model or "-")[0] == model
            or any(used is not None and used.name == model for used in (one.status.model, one.status.latest_model))
        ]


def check_free(alias: str) -> None:
    """Whether an alias may be given by hand. Raises Refused, UserError."""
    if alias == LATEST:
        raise Refused("latest is always the newest version", next_step="Take another word, or pin a number.")
    if not alias or alias[0].isdigit():
        raise UserError(f"{alias!r} is no alias: it looks like a version's number", next_step="Take a word: prod")


def _list(names: list[str], noun: str, plural: str = "") -> str:
    return f"{noun if len(names) == 1 else plural or noun + 's'} {', '.join(names)}"
