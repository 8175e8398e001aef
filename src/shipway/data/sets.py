"""Data sets as numbered, immutable versions. The layout's tags ``data/NAME:N`` are the truth."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from shipway.data import artifact as artifacts
from shipway.data import writing
from shipway.data.artifact import Artifact, Remote, Summary
from shipway.data.changes import Difference, difference
from shipway.data.contents import Chunks, Contents, Folder, in_order
from shipway.data.cutting import cut
from shipway.data.files import LIST_TYPE, DataFile, check_names, to_bytes
from shipway.data.reading import Reading
from shipway.data.stores import ObjectStores
from shipway.errors import NotFound, Refused, UserError
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.leases import Lease
from shipway.oci.numbers import Numbers, by_name, next_number, without_version
from shipway.oci.pushed import pushed, with_pushed
from shipway.ports import Clock
from shipway.snapshot import collect_path
from shipway.transfer import Report, silent

ROOM = "data/"  # how the tags begin
CREATED = "org.opencontainers.image.created"
FROM = "dev.shipway.data.from"  # of the entry in index.json, not of the manifest: equal files are one version
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9./_]{0,61}[a-z0-9])?")
_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One version. ``content`` is the digest of its file list, ``digest`` of all: files, labels, and where they are."""

    name: str
    number: int
    digest: str
    content: str
    files: int
    size: int
    labels: Mapping[str, str]
    source: str  # where it was added from: a path, a URI, a registry's reference
    remote: Remote | None  # where its files are when they are not kept here
    created_at: datetime | None
    pushed: tuple[str, ...] = ()  # registries' references, with the digest


class DataSets:
    """The data sets of a layout. Every method raises Corrupt when an artifact is damaged. Blocking."""

    def __init__(self, layout: Layout, clock: Clock, stores: ObjectStores) -> None:
        self._layout = layout
        self._clock = clock
        self._stores = stores
        self._read: dict[Digest, Summary] = {}  # manifests never change: read once, verified then

    # -- making versions

    def add(
        self, name: str, source: Path | Remote, labels: Mapping[str, str], report: Report = silent, *, copy: bool = True
    ) -> tuple[DataVersion, bool]:
        """Make files the next version of ``name``; whether it is new. What is the latest already stays the latest.

        The files of a Remote are read once for their digests, and kept here only with ``copy``. Killed at any line,
        it goes on when it is called again: the chunks that were written are found. ``report`` may raise to end it.
        Raises UserError (a file that changes meanwhile, no file at all), what the store raises, EnvironmentFault.
        """
        check_labels(labels)
        place = self._stores.open(source) if isinstance(source, Remote) else Folder(collect_path(source))
        found = place.found()
        if isinstance(source, Remote):
            source = replace(source, uri=place.uri)
        if not found:
            raise UserError(f"{_said(source)} has no file", next_step="Name a folder with files in it.")
        check_names(one.name for one in found)
        pinned = source if isinstance(source, Remote) and not copy else None
        with self._layout.lease(f"add data set {name}") as lease:
            reading = Reading(name, place, found, report)
            if pinned is None:
                chunks = tuple(in_order(lambda chunk: self._put(chunk, lease), cut(reading.blocks())))
                files = [_plain(one) for one in reading.files]
            else:
                chunks, files = (), reading.read()
            descriptor = self._store(files, chunks, labels, pinned, lease)
            return self._number(name, descriptor, _said(source))

    def adopt(self, name: str, descriptor: Descriptor, reference: str) -> tuple[DataVersion, bool]:
        """Make a data set that was pulled into the layout the next version of ``name``; whether it is new.

        Raises Refused for what is no data set.
        """
        if not artifacts.is_data(descriptor):
            what = descriptor.artifact_type or descriptor.media_type
            raise Refused(f"{reference} is {what}, not a data set", next_step="See `shipway models pull`.")
        artifacts.read_files(self._layout, artifacts.opened(self._layout, descriptor))
        return self._number(name, descriptor, reference)

    def remove(self, reference: str) -> tuple[DataVersion, ...]:
        """Forget ``NAME:N``, or all versions of ``NAME``; which. Their numbers never come again. Raises NotFound."""
        name, _, number = reference.partition(":")
        gone = (self.resolve(reference),) if number else self.versions(name)
        with self._layout.edit() as edit:
            for one in gone:
                edit.index = without_version(edit.index, f"{ROOM}{name}:{one.number}")
        return gone

    def mark_pushed(self, name: str, number: int, reference: str) -> None:
        """Remember that a version is in a registry: ``reference`` has the digest. Idempotent."""
        tag = f"{ROOM}{name}:{number}"
        with self._layout.edit() as edit:
            if tag in edit.index.tags:
                edit.index = edit.index.with_tag(tag, with_pushed(edit.index.tags[tag], reference))

    # -- looking at them

    def latest(self) -> tuple[DataVersion, ...]:
        """The latest version of every data set, sorted by name."""
        found = by_name(self._layout.index(), ROOM)
        return tuple(self._version(name, max(found[name]), found[name][max(found[name])]) for name in sorted(found))

    def versions(self, name: str) -> tuple[DataVersion, ...]:
        """All versions of a data set, oldest first. Raises NotFound with the nearest name."""
        return tuple(self._version(name, number, one) for number, one in sorted(self._numbers(name).items()))

    def resolve(self, reference: str) -> DataVersion:
        """``NAME``, ``NAME:latest`` or ``NAME:N``. Raises NotFound with the nearest name, or the numbers that exist."""
        return self._version(*self._find(reference))

    def descriptor(self, reference: str) -> Descriptor:
        """What the layout has under a reference. Raises NotFound."""
        return self._find(reference)[2]

    def files(self, reference: str) -> tuple[DataFile, ...]:
        """The files of a version. Raises NotFound."""
        return artifacts.read_files(self._layout, artifacts.opened(self._layout, self.descriptor(reference)))

    def files_of(self, digest: str) -> tuple[DataFile, ...]:
        """The files of the data set with that digest. Raises NotFound when no version has it any more."""
        return artifacts.read_files(self._layout, artifacts.opened(self._layout, self._by_digest(Digest(digest))))

    def difference(self, before: str, after: str) -> Difference:
        """What differs between two versions, also of two data sets. Raises NotFound."""
        first, second = (artifacts.opened(self._layout, self.descriptor(one)) for one in (before, after))
        here = first.summary.remote is None and second.summary.remote is None
        old, new = artifacts.read_files(self._layout, first), artifacts.read_files(self._layout, second)
        return difference(old, new, (first.chunks, second.chunks) if here else None)

    # -- the files themselves

    def write(self, descriptor: Descriptor, folder: Path, report: Report = silent, *, what: str = "") -> int:
        """Write the files of a data set into a folder, verified; how many were there already, and stay.

        Of a pinned one they are fetched from where they lie: an object that changed or went is named. Raises
        Conflict or NotFound for that, Refused for another file in its place, Corrupt, EnvironmentFault.
        """
        opened = artifacts.opened(self._layout, descriptor)
        files = artifacts.read_files(self._layout, opened)
        return writing.write(self._contents(opened, files), files, folder, what or descriptor.digest, report)

    def materialise(self, layout: Layout, descriptor: Descriptor, folder: Path) -> None:
        """As :meth:`write`, for :class:`shipway.models.Materials`."""
        self.write(descriptor, folder)

    def _contents(self, opened: Artifact, files: Sequence[DataFile]) -> Contents:
        remote = opened.summary.remote
        return Chunks(self._layout, files, opened.chunks) if remote is None else self._stores.open(remote)

    # -- inside

    def _put(self, chunk: bytes, lease: Lease) -> Descriptor:
        wanted = Descriptor(artifacts.CHUNK_TYPE, Digest.of(chunk), len(chunk))
        lease.hold(wanted.digest)
        if not self._layout.has_blob(wanted):
            self._layout.put_blob(chunk, wanted.media_type, lease=lease)
        return wanted

    def _store(
        self,
        files: Sequence[DataFile],
        chunks: Sequence[Descriptor],
        labels: Mapping[str, str],
        remote: Remote | None,
        lease: Lease,
    ) -> Descriptor:
        listing = self._layout.put_blob(to_bytes(files), LIST_TYPE, lease=lease)
        size = sum(one.size for one in files)
        summary = Summary(len(files), size, listing.digest, dict(sorted(labels.items())), remote)
        return artifacts.store(self._layout, listing, chunks, summary, lease)

    def _number(self, name: str, descriptor: Descriptor, source: str) -> tuple[DataVersion, bool]:
        said = {CREATED: self._clock.now().isoformat(), FROM: source}
        with self._layout.edit() as edit:
            numbers = by_name(edit.index, ROOM).get(name, {})
            same = [number for number, one in numbers.items() if one.digest == descriptor.digest]
            if same:
                return self._version(name, max(same), numbers[max(same)]), False
            number = next_number(edit.index, f"{ROOM}{name}", numbers)
            entry = descriptor.annotated(said)
            edit.index = edit.index.with_tag(f"{ROOM}{name}:{number}", entry)
        return self._version(name, number, entry), True

    def _find(self, reference: str) -> tuple[str, int, Descriptor]:
        name, _, number = reference.partition(":")
        numbers = self._numbers(name)
        wanted = max(numbers) if number in ("", "latest") else int(number) if number.isdecimal() else 0
        if wanted not in numbers:
            there = ", ".join(map(str, sorted(numbers)))
            raise NotFound(f"the data set {name} has no version {number!r}", next_step=f"Versions of {name}: {there}.")
        return name, wanted, numbers[wanted]

    def _numbers(self, name: str) -> Numbers:
        found = by_name(self._layout.index(), ROOM)
        if name not in found:
            near = difflib.get_close_matches(name, found, n=3, cutoff=0.5)
            hint = f"; the nearest: {', '.join(near)}" if near else ""
            raise NotFound(f"there is no data set {name!r}{hint}", next_step=f"Add it: shipway data add {name} PATH.")
        return found[name]

    def _by_digest(self, digest: Digest) -> Descriptor:
        found = self._layout.index().find(digest)
        if found is None or not artifacts.is_data(found):
            raise NotFound(f"no version of a data set has the digest {digest} any more")
        return found

    def _version(self, name: str, number: int, entry: Descriptor) -> DataVersion:
        if entry.digest not in self._read:
            self._read[entry.digest] = artifacts.summary(self._layout, entry)
        said = self._read[entry.digest]
        return DataVersion(
            name=name,
            number=number,
            digest=entry.digest,
            content=said.content,
            files=said.files,
            size=said.size,
            labels=said.labels,
            source=entry.annotations.get(FROM, ""),
            remote=said.remote,
            created_at=_time(entry.annotations.get(CREATED, "")),
            pushed=pushed(entry),
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises UserError for a label that is not like those of Kubernetes: placement compares them."""
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UserError(
                f"the label {name}={value} is not valid",
                next_step="NAME=VALUE of letters, digits, '-', '_' and '.', at most 63 each: residency=eu.",
            )


def _plain(file: DataFile) -> DataFile:
    """Without what a store said: a copy is the same as one from a folder."""
    return DataFile(name=file.name, size=file.size, executable=file.executable, digest=file.digest)


def _said(source: Path | Remote) -> str:
    return source.uri if isinstance(source, Remote) else str(source)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
