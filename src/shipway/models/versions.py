"""Versions: output folders as numbered, immutable artifacts. The layout's tags ``NAME:N`` are the truth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shipway import formats
from shipway.errors import Corrupt, NotFound, UserError
from shipway.kinds import ModelSignature, ModelVersion
from shipway.models import modelpack, signatures
from shipway.models.lineage import Lineage
from shipway.models.modelpack import Packed
from shipway.models.numbers import Numbers, by_name, next_number, without_model
from shipway.oci import Descriptor, Digest, Index, Layout
from shipway.ports import Clock
from shipway.snapshot import SnapshotFile, walk

log = logging.getLogger(__name__)


class Versions:
    """The model versions of a layout. Every method raises Corrupt when an artifact is damaged."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._read: dict[Digest, Packed] = {}  # manifests never change: read once, verified then
        self._sorted: tuple[Index, Mapping[str, Numbers]] | None = None  # the index that was asked last, by model

    def pack(self, name: str, folder: Path, lineage: Lineage) -> ModelVersion:
        """Make the files of ``folder`` the next version of ``name``, visible whole or not at all.

        Idempotent: the same run (with the same fingerprint) and, for imports, the same files give the version that
        exists. Safe to repeat after kill -9 at any point, and beside other processes: numbers have no twins, and no
        gaps but for versions that were lost. Files are streamed, links are followed inside the folder only. Raises
        UserError.
        """
        existing = self._find(self._layout.index(), name, lambda one: _same_run(one, lineage))
        if existing is not None:
            return existing
        lineage = lineage.made_at(self._clock.now())
        files = tuple(walk(folder))
        if not files:
            raise UserError(
                f"no version of {name} was made: {folder} has no file",
                next_step="The code wrote no output: write files to $SHIPWAY_OUTPUT_DIR.",
            )
        layers = [self._put(file) for file in files]
        format = formats.detect({file.name: self._head(layer) for file, layer in zip(files, layers, strict=True)})
        config = self._layout.put_blob(modelpack.config(name, format, layers, lineage), modelpack.CONFIG_TYPE)
        manifest = modelpack.manifest(config, layers, lineage, self._signature(name, layers))
        content = modelpack.content_digest(layers) if lineage.origin == "import" else None
        with self._layout.edit() as edit:
            existing = self._find(edit.index, name, lambda one: _same_run(one, lineage) or _same_import(one, content))
            if existing is not None:
                return existing
            number = next_number(edit.index, name, self._numbers(edit.index, name))
            descriptor = self._layout.put_manifest(manifest)
            edit.index = edit.index.with_tag(f"{name}:{number}", descriptor)
        return self._version(number, descriptor)

    def list(self, name: str) -> tuple[ModelVersion, ...]:
        """All versions of a model, oldest first; none when there is no such model."""
        numbers = self._numbers(self._layout.index(), name)
        return tuple(self._version(number, entry) for number, entry in sorted(numbers.items()))

    def names(self) -> tuple[str, ...]:
        """The models that have versions, sorted."""
        return tuple(sorted(self._by_name(self._layout.index())))

    def lineage(self, name: str, number: int) -> Lineage:
        """What made a version. Raises NotFound."""
        numbers = self._numbers(self._layout.index(), name)
        if number not in numbers:
            there = ", ".join(map(str, sorted(numbers))) or "none"
            raise NotFound(f"{name} has no version {number}", next_step=f"Versions of {name}: {there}.")
        return self._packed(numbers[number]).lineage

    def remove(self, name: str) -> None:
        """Forget a model with all its versions; a model of that name counts from 1 again. Idempotent.

        The blobs stay, and so do folders that were materialised: what runs goes on.
        """
        with self._layout.edit() as edit:
            removed = self._numbers(edit.index, name)
            edit.index = without_model(edit.index, name, removed)
        for manifest in removed.values():
            self._read.pop(manifest.digest, None)

    def _find(self, index: Index, name: str, matches: Callable[[Packed], bool]) -> ModelVersion | None:
        newest_first = sorted(self._numbers(index, name).items(), reverse=True)
        found = ((number, entry) for number, entry in newest_first if matches(self._packed(entry)))
        return next((self._version(number, entry) for number, entry in found), None)

    def _numbers(self, index: Index, name: str) -> Numbers:
        return self._by_name(index).get(name, {})

    def _by_name(self, index: Index) -> Mapping[str, Numbers]:
        # Every pass over 1,000 models asks for the versions of each: the tags are taken apart once for all of them.
        known = self._sorted
        if known is None or known[0] is not index:
            known = self._sorted = index, by_name(index)
        return known[1]

    def _put(self, file: SnapshotFile) -> Descriptor:
        blob = self._layout.put_blob(file.path, modelpack.media_type(file.name))
        return modelpack.layer(blob, file.name, executable=file.executable)

    def _signature(self, name: str, layers: Sequence[Descriptor]) -> ModelSignature | None:
        """As it lies among the files. One that cannot be read says nothing of the model beside it."""
        found = next((one for one in layers if one.annotations[modelpack.FILEPATH] == signatures.FILE), None)
        if found is None:
            return None
        with self._layout.blob_path(found.digest).open("rb") as file:
            signature = signatures.parse(file.read(signatures.LARGEST + 1))
        if signature is None:
            log.warning("a version of %s: %s is no signature, and is ignored", name, signatures.FILE)
        return signature

    def _head(self, layer: Descriptor) -> bytes:
        with self._layout.blob_path(layer.digest).open("rb") as file:
            return file.read(formats.HEAD)

    def _version(self, number: int, manifest: Descriptor) -> ModelVersion:
        packed = self._packed(manifest)
        return ModelVersion(
            number=number,
            digest=manifest.digest,
            format=packed.format,
            size=packed.size,
            created_at=packed.created_at,
            fingerprint=packed.lineage.fingerprint,
            run=packed.lineage.run,
            metrics=dict(packed.lineage.metrics),
            gate=packed.lineage.gate,
            gate_reason=packed.lineage.gate_reason,
            origin=packed.lineage.origin,
            signature=packed.signature,
        )

    def _packed(self, descriptor: Descriptor) -> Packed:
        if descriptor.digest not in self._read:
            manifest = self._layout.read_manifest(descriptor)
            try:
                packed = modelpack.read(manifest, self._layout.read_blob(manifest.config))
            except (KeyError, TypeError, ValueError) as error:
                raise Corrupt(f"{descriptor.digest} is not a version that Shipway packed: {error!r}") from error
            self._read[descriptor.digest] = packed
        return self._read[descriptor.digest]


def _same_run(packed: Packed, lineage: Lineage) -> bool:
    # Run ids are counted per job and begin again with a job that was deleted and made anew.
    known = packed.lineage
    return bool(lineage.run) and (known.run, known.fingerprint) == (lineage.run, lineage.fingerprint)


def _same_import(packed: Packed, content: str | None) -> bool:
    return packed.lineage.origin == "import" and packed.content == content
