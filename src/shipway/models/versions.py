"""Versions: folders as numbered, immutable artifacts. The layout's tags ``NAME:N`` are the truth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from shipway import formats
from shipway.errors import Corrupt, NotFound, Refused, UserError
from shipway.kinds import ModelSignature, ModelVersion
from shipway.models import artifact, entries, layers, modelpack, signatures, twin
from shipway.models.aliases import aliases, with_aliases
from shipway.models.entries import Gate, Summary
from shipway.models.layers import Written
from shipway.models.lineage import Lineage
from shipway.models.modelpack import Form, Packed
from shipway.oci import Descriptor, Digest, Index, Layout
from shipway.oci.leases import Lease
from shipway.oci.numbers import Numbers, by_name, next_number, without_model, without_version
from shipway.oci.pushed import with_pushed
from shipway.ports import Clock
from shipway.snapshot import SnapshotFile, walk
from shipway.transfer import Report, silent

log = logging.getLogger(__name__)

_UNKNOWN = datetime.fromtimestamp(0, UTC)  # of a foreign artifact that says no time, in an entry that says none


class Versions:
    """The model versions of a layout. Every method raises Corrupt when what it reads of an artifact is damaged."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._read: dict[Digest, Packed] = {}  # manifests never change: read once, verified then
        self._said: dict[tuple[Digest, str], Summary] = {}
        self._made: dict[tuple[int, Digest, tuple[str | None, ...]], ModelVersion] = {}
        self._sorted: tuple[Index, Mapping[str, Numbers]] | None = None  # the index that was asked last, by model

    # -- what there is

    def numbers(self, name: str) -> Numbers:
        """Which versions a model has, and what names them; nothing is read but the index."""
        return self._numbers(self._layout.index(), name)

    def list(self, name: str, only: Iterable[int] | None = None) -> tuple[ModelVersion, ...]:
        """All versions of a model (or those of ``only`` that there are), oldest first; none without such a model."""
        numbers = self.numbers(name)
        wanted = numbers if only is None else numbers.keys() & set(only)
        return tuple(self._version(number, numbers[number]) for number in sorted(wanted))

    def newest(self, name: str) -> Iterator[ModelVersion]:
        """The versions of a model, newest first, each read when it is asked for."""
        numbers = self.numbers(name)
        return (self._version(number, numbers[number]) for number in sorted(numbers, reverse=True))

    def like(self, name: str, fingerprint: str) -> tuple[ModelVersion, ...]:
        """The versions that runs of this home with this fingerprint made, oldest first."""
        numbers = self.numbers(name)
        equal = [one for one, entry in numbers.items() if _is_like(entry, self._summary(entry), fingerprint)]
        return tuple(self._version(number, numbers[number]) for number in sorted(equal))

    def names(self) -> tuple[str, ...]:
        """The models that have versions, sorted."""
        return tuple(sorted(self._by_name(self._layout.index())))

    def lineage(self, name: str, number: int) -> Lineage:
        """What made a version, as its manifest says: of a pulled one whoever packed it said so. Raises NotFound."""
        return self._packed(self._entry(self._layout.index(), name, number)).lineage

    # -- new versions

    def pack(
        self,
        name: str,
        source: Path | Sequence[SnapshotFile],
        lineage: Lineage,
        *,
        form: Form = "tar",
        report: Report = silent,
    ) -> ModelVersion:
        """Make files (all of a folder, or these) the next version of ``name``, visible whole or not at all.

        ``tar`` and ``tar+zstd`` are an index of a ModelPack and its image-compatible twin (:mod:`shipway.models.twin`),
        ``raw`` is a ModelPack alone. Digests of ``tar+zstd`` layers depend on the version of the zstd library.

        Idempotent: the same run (with the same fingerprint) and, for imports, the same files give the version that
        exists. Safe to repeat after kill -9 at any point, and beside other processes: numbers have no twins, and no
        gaps but for versions that were lost. Files are streamed, links are followed inside the folder only. Raises
        UserError.
        """
        existing = self._find(self._layout.index(), name, lambda entry, one: _same_run(entry, one, lineage))
        if existing is not None:
            return existing
        lineage = lineage.made_at(self._clock.now())
        files = tuple(walk(source) if isinstance(source, Path) else source)
        if not files:
            raise UserError(
                f"no version of {name} was made: {source} has no file",
                next_step="The code wrote no output: write files to $SHIPWAY_OUTPUT_DIR.",
            )
        with self._layout.lease(f"pack {name}") as lease:
            written = layers.write(files, form, partial(self._layout.put_blob, lease=lease), report)
            packed = self._described(name, written, lineage)
            descriptor = self._store(name, written, packed, form, lease)
            entry = descriptor.annotated(Summary.of(packed).annotations(packed.lineage.origin))
            content = packed.content if lineage.origin == "import" else None

            def is_same(entry: Descriptor, one: Summary) -> bool:
                return _same_run(entry, one, lineage) or _same_import(entry, one, content)

            return self._add(name, entry, is_same)

    def adopt(self, name: str, descriptor: Descriptor, reference: str) -> ModelVersion:
        """Make an artifact that was pulled into the layout the next version of ``name``; its blobs are there, and the
        caller's lease holds them.

        ``reference`` says where it was pulled from, with the digest. Idempotent by digest. Its origin is ``pulled``
        whatever it says of itself: its lineage is shown, but stands for no run of this home (no cache hit, and a
        pickle in it is not trusted). Raises Refused for what is no model, with what it is; Corrupt.
        """
        packed = self._opened(descriptor, otherwise=self._clock.now())
        # Bare: an annotation that came with it must not say what only this home may, that it is trusted for example.
        bare = descriptor.bare()
        known = with_pushed(bare.annotated(Summary.of(packed).annotations("pulled")), reference)
        made = self._add(name, known, lambda entry, _: entry.digest == descriptor.digest)
        return self.mark_pushed(name, made.number, reference)

    def _add(self, name: str, entry: Descriptor, is_same: Callable[[Descriptor, Summary], bool]) -> ModelVersion:
        """The version that is the same already, or the next number."""
        with self._layout.edit() as edit:
            existing = self._find(edit.index, name, is_same)
            if existing is not None:
                return existing
            number = next_number(edit.index, name, self._numbers(edit.index, name))
            edit.index = edit.index.with_tag(f"{name}:{number}", entry)
        return self._version(number, entry)

    def _described(self, name: str, written: Written, lineage: Lineage) -> Packed:
        assert lineage.created_at is not None
        return Packed(
            format=formats.detect(written.heads),
            size=modelpack.files_size(one.descriptor for one in written.layers),
            content=modelpack.content_digest(written.layers),
            created_at=lineage.created_at,
            lineage=lineage,
            signature=_signature(name, written.heads.get(signatures.FILE)),
        )

    def _store(self, name: str, written: Written, packed: Packed, form: Form, lease: Lease) -> Descriptor:
        """The manifests over layers that are there."""
        put, made = partial(self._layout.put_blob, lease=lease), written.layers
        config = put(modelpack.config(name, packed.format, made, packed.lineage), modelpack.CONFIG_TYPE)
        manifest = modelpack.manifest(config, made, packed.lineage, packed.signature)
        model = self._layout.put_manifest(manifest, lease=lease)
        if form == "raw":
            return model
        images = {}
        for architecture in twin.ARCHITECTURES:
            config = put(twin.config(architecture, made, packed.created_at), twin.IMAGE_CONFIG_TYPE)
            images[architecture] = self._layout.put_manifest(twin.image(config, made, form), lease=lease)
        return self._layout.put_index(twin.index(model, images), lease=lease)

    # -- what is said of versions, and taken back

    def mark_pushed(self, name: str, number: int, reference: str) -> ModelVersion:
        """Remember that a version is in a registry: ``reference`` has the digest. Idempotent. Raises NotFound."""
        self._annotate(name, number, lambda entry: with_pushed(entry, reference))
        [marked] = self.list(name, (number,))
        return marked

    def mark_trusted(self, name: str, number: int, by: str) -> None:
        """Remember, in this home alone, who answers for a version that was not made here. Idempotent. Raises
        NotFound."""
        self._annotate(name, number, lambda entry: entries.with_trust(entry, by))

    def judge(self, name: str, number: int, gate: Gate, reason: str) -> None:
        """What the gate says of a version now; until then its lineage says what it said first. Idempotent."""
        judged = self.list(name, (number,))
        if judged and (judged[0].gate, judged[0].gate_reason) != (gate, reason):
            self._annotate(name, number, lambda entry: entries.with_gate(entry, gate, reason))

    def aliases(self, name: str) -> Mapping[str, int]:
        """What names which version of a model, as :meth:`remember_aliases` was told; of versions that are there."""
        there, named = self.numbers(name), aliases(self._layout.index(), name)
        return {alias: number for alias, number in named.items() if number in there}

    def remember_aliases(self, name: str, named: Mapping[str, int]) -> None:
        """Keep what names which version beside the versions, for a store that is lost. Idempotent."""
        if aliases(self._layout.index(), name) != named:
            with self._layout.edit() as edit:
                edit.index = with_aliases(edit.index, name, named)

    def discard(self, name: str, number: int) -> None:
        """Forget one version; its number never comes again while its model exists. Idempotent. The blobs stay."""
        with self._layout.edit() as edit:
            gone = self._numbers(edit.index, name).get(number)
            if gone is not None:
                edit.index = without_version(edit.index, f"{name}:{number}")
        self._forget(() if gone is None else (gone,))

    def remove(self, name: str) -> None:
        """Forget a model with all its versions; a model of that name counts from 1 again. Idempotent.

        The blobs stay, and so do folders that were materialised: what runs goes on.
        """
        with self._layout.edit() as edit:
            removed = self._numbers(edit.index, name)
            edit.index = with_aliases(without_model(edit.index, name, removed), name, {})
        self._forget(removed.values())

    def _annotate(self, name: str, number: int, change: Callable[[Descriptor], Descriptor]) -> None:
        with self._layout.edit() as edit:
            entry = self._entry(edit.index, name, number)
            edit.index = edit.index.with_tag(f"{name}:{number}", change(entry))

    # -- reading

    def _find(self, index: Index, name: str, matches: Callable[[Descriptor, Summary], bool]) -> ModelVersion | None:
        newest_first = sorted(self._numbers(index, name).items(), reverse=True)
        found = ((number, entry) for number, entry in newest_first if matches(entry, self._summary(entry)))
        return next((self._version(number, entry) for number, entry in found), None)

    def _entry(self, index: Index, name: str, number: int) -> Descriptor:
        numbers = self._numbers(index, name)
        if number not in numbers:
            there = ", ".join(map(str, sorted(numbers)[-20:])) or "none"
            raise NotFound(f"{name} has no version {number}", next_step=f"Versions of {name}: {there}.")
        return numbers[number]

    def _numbers(self, index: Index, name: str) -> Numbers:
        return self._by_name(index).get(name, {})

    def _by_name(self, index: Index) -> Mapping[str, Numbers]:
        # Every pass over 1,000 models asks for the versions of each: the tags are taken apart once for all of them.
        known = self._sorted
        if known is None or known[0] is not index:
            known = self._sorted = index, by_name(index)
        return known[1]

    def _version(self, number: int, entry: Descriptor) -> ModelVersion:
        said = entry.annotations
        key = number, entry.digest, tuple(said.get(name) for name in entries.ALL)
        if key not in self._made:
            self._made[key] = entries.version(number, entry, self._summary(entry))
        return self._made[key]

    def _summary(self, entry: Descriptor) -> Summary:
        key = entry.digest, entry.annotations.get(entries.SUMMARY, "")
        if key not in self._said:
            self._said[key] = entries.summary(entry) or Summary.of(self._packed(entry))
        return self._said[key]

    def _packed(self, entry: Descriptor) -> Packed:
        if entry.digest not in self._read:
            try:
                self._read[entry.digest] = self._opened(entry, otherwise=_UNKNOWN)
            except Refused as error:
                raise Corrupt(f"the tag of a version names something else: {error.message}") from error
        return self._read[entry.digest]

    def _opened(self, descriptor: Descriptor, *, otherwise: datetime) -> Packed:
        """What a model's manifest and config say. Raises Refused for what is no model, Corrupt."""
        manifest = artifact.checked_model(self._layout, descriptor)
        config = artifact.config_of(self._layout, manifest)
        if modelpack.is_ours(manifest):
            try:
                return modelpack.read(manifest, config)
            except (KeyError, TypeError, ValueError) as error:
                raise Corrupt(f"{descriptor.digest} is not a version that Shipway packed: {error!r}") from error
        format = formats.detect(artifact.heads(self._layout, manifest))
        return modelpack.read_foreign(manifest, config, format, otherwise=otherwise)

    def _forget(self, gone: Iterable[Descriptor]) -> None:
        digests = {one.digest for one in gone}
        for known in [key for key in list(self._made) if key[1] in digests]:
            del self._made[known]
        for said in [key for key in list(self._said) if key[0] in digests]:
            del self._said[said]
        for digest in digests:
            self._read.pop(digest, None)


def _signature(name: str, content: bytes | None) -> ModelSignature | None:
    """As it lies among the files. One that cannot be read says nothing of the model beside it."""
    if content is None:
        return None
    signature = signatures.parse(content)
    if signature is None:
        log.warning("a version of %s: %s is no signature, and is ignored", name, signatures.FILE)
    return signature


def _is_like(entry: Descriptor, one: Summary, fingerprint: str) -> bool:
    return one.fingerprint == fingerprint and entries.origin(entry) == "job"


def _same_run(entry: Descriptor, one: Summary, lineage: Lineage) -> bool:
    # Run ids are counted per job and begin again with a job that was deleted and made anew.
    return bool(lineage.run) and one.run == lineage.run and _is_like(entry, one, lineage.fingerprint)


def _same_import(entry: Descriptor, one: Summary, content: str | None) -> bool:
    return one.content == content and entries.origin(entry) == "import"
