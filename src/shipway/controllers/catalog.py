"""What there is of models: a line for each, their versions page by page, one with all that is known of it, and what
differs between two. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.controllers.listings import ListingOf
from shipway.controllers.model import found_model, found_version
from shipway.controllers.updates import all_of, find
from shipway.errors import Corrupt, NotFound
from shipway.explain import FileChanges, Side, StoredFile, compare, compared
from shipway.explain.versions import LARGEST_PATCHED, content_pairs, goals, patch
from shipway.jobs import without_login
from shipway.kinds import CHAMPION, LATEST, Model, ModelJob, ModelService, ModelSignature, ModelVersion
from shipway.kinds.catalog import ModelLine, VersionDiff
from shipway.models import Lineage, Snapshots, Versions
from shipway.models.contents import contents
from shipway.oci import Layout
from shipway.ports import Entry, Journal, Store

_LEDGER = 1000  # lines of the ledger in which those about one version are looked for
_LONGEST_PATCH = 1 << 20  # characters


@dataclass(frozen=True, slots=True)
class Catalog:
    """Blocking: call it from a thread."""

    store: Store
    journal: Journal
    layout: Layout
    versions: Versions
    snapshots: Snapshots
    files_of: ListingOf

    def models(self) -> tuple[ModelLine, ...]:
        """All models, by name."""
        live = self._live()
        return tuple(_line(one, live[one.name]) for one in all_of(self.store, Model))

    def page(self, name: str, limit: int, before: int | None = None) -> Mapping[str, Any]:
        """The newest versions of a model, at most ``limit`` (0: all), of those with a lower number than ``before``.

        ``older`` says how many there are below the last of them. Raises NotFound.
        """
        model = found_model(self.store, name)
        numbers = sorted(self.versions.numbers(name), reverse=True)
        below = [one for one in numbers if before is None or one < before]
        shown = below[:limit] if limit else below
        return {
            "name": name,
            "count": len(numbers),
            "older": len(below) - len(shown),
            "aliases": dict(model.status.aliases),
            "live": self._live()[name],
            "versions": [_json(one) for one in reversed(self.versions.list(name, shown))],
        }

    def detail(self, name: str, ref: str) -> Mapping[str, Any]:
        """One version, by number or alias, with all that is known of it. Raises NotFound."""
        model = found_model(self.store, name)
        version = found_version(self.versions, model, ref)
        descriptor = self.versions.numbers(name)[version.number]
        made_of = contents(self.layout, descriptor)
        return {
            "version": _json(version),
            "aliases": sorted(alias for alias, number in model.status.aliases.items() if number == version.number),
            "live": sorted(service for service, number in self._live()[name].items() if number == version.number),
            "lineage": self.versions.lineage(name, version.number).to_json(),
            "contents": made_of,
            "referrers": [
                {"digest": one.digest, "type": one.artifact_type or one.media_type}
                for one in self.layout.referrers(descriptor.digest)
            ],
            "ledger": [
                {"at": one.at.isoformat(), "subject": one.subject, "reason": one.reason, "message": one.message}
                for one in self._ledger(name, version)
            ],
        }

    def diff(self, before: tuple[str, str], after: tuple[str, str], *, patches: bool = False) -> VersionDiff:
        """What differs from one version, ``(name, number or alias)``, to another. Raises NotFound."""
        (old, job), (new, later) = self._side(*before), self._side(*after)
        pairs = content_pairs(old, new)
        looked = {pair: self._compared(*pair) for pair in pairs.values()}
        texts = {}
        if patches and "source" in pairs and looked[pairs["source"]].known:
            texts["source"] = self._patch(*pairs["source"], looked[pairs["source"]])
        maker = find(self.store, ModelJob, later or job or "-")
        return compare(old, new, looked, texts, goals(maker.spec.evaluate if maker is not None else None))

    def _side(self, name: str, ref: str) -> tuple[Side, str]:
        """One side of a comparison, and the job that made it."""
        version = found_version(self.versions, found_model(self.store, name), ref)
        lineage = self.versions.lineage(name, version.number)
        files = contents(self.layout, self.versions.numbers(name)[version.number]).files
        return _side(name, version, lineage, {one.name: StoredFile(one.size, one.digest) for one in files}), lineage.job

    def _compared(self, before: str, after: str) -> FileChanges:
        try:
            return compared(*(self.files_of(one) if one else {} for one in (before, after)))
        except (NotFound, Corrupt):
            return FileChanges(known=False)

    def _patch(self, before: str, after: str, changes: FileChanges) -> str:
        names = {*changes.added, *changes.changed, *changes.removed}
        old, new = (
            self.snapshots.texts(digest, names, LARGEST_PATCHED) if digest else {} for digest in (before, after)
        )
        text = "".join(patch(name, old.get(name), new.get(name)) for name in sorted(names))
        return text if len(text) <= _LONGEST_PATCH else f"{text[:_LONGEST_PATCH]}\n... {len(text)} characters in all\n"

    def _live(self) -> defaultdict[str, dict[str, int]]:
        """By model: which service's traffic goes to which of its versions."""
        live: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for service in all_of(self.store, ModelService):
            if service.status.model is not None:
                live[service.status.model.name][service.name] = service.status.model.version
        return live

    def _ledger(self, name: str, version: ModelVersion) -> list[Entry]:
        """What the ledger says of one version, oldest first."""
        services = {one.name for one in all_of(self.store, ModelService)}
        subjects = [f"Model/{name}", *(f"ModelService/{one}" for one in services if self._serves(one, name))]
        lines = (
            entry
            for subject in subjects
            for entry in self.journal.entries(subject=subject, type="ledger", limit=_LEDGER, newest=True)
        )
        return sorted((one for one in lines if _is_about(one, name, version)), key=lambda one: one.id)

    def _serves(self, service: str, model: str) -> bool:
        found = find(self.store, ModelService, service)
        return found is not None and (found.spec.model or "").partition(":")[0] == model


def _line(model: Model, live: Mapping[str, int]) -> ModelLine:
    status, newest = model.status, model.version(LATEST)
    shown = model.version(CHAMPION) or newest
    return ModelLine(
        name=model.name,
        versions=status.count,
        aliases=dict(status.aliases),
        format=shown.format if shown else "",
        size=shown.size if shown else 0,
        metrics=dict(shown.metrics) if shown else {},
        live=dict(live),
        created_at=model.metadata.creation_timestamp,
        made_at=newest.created_at if newest else None,
        latest=status.aliases.get(LATEST),
        champion=status.aliases.get(CHAMPION),
    )


def _side(name: str, version: ModelVersion, lineage: Lineage, files: Mapping[str, StoredFile]) -> Side:
    return Side(
        reference=f"{name}:{version.number}",
        digest=version.digest,
        format=version.format,
        size=version.size,
        metrics=version.metrics,
        params=lineage.params,
        inputs=lineage.inputs,
        components=lineage.components,
        requirements=tuple(without_login(one) for one in lineage.requirements),
        lock=lineage.lock,
        source=lineage.source or "",
        signature=_tensors(version.signature) if version.signature else {},
        files=files,
    )


def _tensors(signature: ModelSignature) -> Mapping[str, str]:
    words = (("takes", signature.inputs), ("gives", signature.outputs))
    return {f"{word} {one.name}": f"{one.datatype} {list(one.shape)}" for word, tensors in words for one in tensors}


def _is_about(entry: Entry, name: str, version: ModelVersion) -> bool:
    data, number = entry.data, version.number
    if entry.reason == "Pulled":  # said before it had a number
        return bool(data.get("digest") == version.digest)
    if entry.reason == "Live":
        served = data.get("model") or {}
        return served.get("name") == name and served.get("version") == number
    return number in (data.get("version"), data.get("from"), data.get("to")) or entry.reason == "ModelDeleted"


def _json(version: ModelVersion) -> dict[str, Any]:
    return version.model_dump(mode="json", by_alias=True)
