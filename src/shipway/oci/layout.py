"""Layout: blobs, manifests and tags in a folder, safe for several processes and for kill -9.

``oci-layout``, ``index.json`` and ``blobs/sha256/`` are the specification's; ``tmp/`` holds what is being written,
``partial/`` what is being fetched, ``leases/`` says what running operations need, ``.lock`` is held while
``index.json`` changes. Source: OCI image-spec v1.1.1, image-layout.md.

A blob belongs to whoever holds a lease on it (:mod:`shipway.oci.leases`), until ``index.json`` leads to it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from shipway.errors import Corrupt, NotFound, Refused, UserError
from shipway.oci import cipher as ciphers
from shipway.oci import digest as digests
from shipway.oci import disk, fetching, referrers
from shipway.oci import document as documents
from shipway.oci.blobs import Blobs
from shipway.oci.cipher import PLAIN, Cipher
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.fetching import Fetch
from shipway.oci.index import Index
from shipway.oci.index_file import Edit, IndexFile, damaged
from shipway.oci.leases import Lease, Leases
from shipway.oci.manifest import INDEX_TYPE, INDEX_TYPES, LARGEST_MANIFEST, MANIFEST_TYPE, Manifest, artifact_type

BlobSource = BinaryIO | bytes | Path

_Read = TypeVar("_Read", Manifest, Index)

_NAMES = {Manifest: "a manifest", Index: "an image index"}
_MARKER = {"imageLayoutVersion": "1.0.0"}


class Layout:
    """An OCI image layout. A folder that is absent or empty becomes a new one; a damaged one never does.

    Every method raises Corrupt when the files on disk are not what they should be, and EnvironmentFault
    when the disk is full or not writable; then nothing half written is visible.
    """

    def __init__(self, root: Path, cipher: Cipher = PLAIN) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs" / "sha256", root / "tmp", cipher)
        self.leases = Leases(root / "leases")
        self.partials = root / "partial"
        self._cipher = cipher
        self._temporaries = root / "tmp"
        self._marker = root / "oci-layout"
        self._lock = root / ".lock"
        self._index = IndexFile(root / "index.json", self._lock, self._temporaries)
        with disk.faults(f"open the OCI layout {root}"):
            self._prepare()
            self.sweep_temporaries()
            self.leases.sweep()

    # -- blobs

    def lease(self, why: str) -> AbstractContextManager[Lease]:
        """What the operation in this block holds is not collected. ``why`` is shown: "pull ghcr.io/team/digits:3".

        When the block ends with an error, what was held stays for another hour, so that a second try resumes.
        """
        return self.leases.new(why)

    def put_blob(
        self,
        source: BlobSource,
        media_type: str = "application/octet-stream",
        *,
        expected: Digest | None = None,
        lease: Lease | None = None,
    ) -> Descriptor:
        """Store content and say what it is. Idempotent; a damaged blob of the same digest is mended.

        Give the ``lease`` of the operation, or a collection that runs at the same time takes the blob away.
        Raises UserError for a path that cannot be read, and when the content does not have the ``expected`` digest;
        nothing is kept then.
        """
        if isinstance(source, Path):
            try:
                file = source.open("rb")
            except OSError as error:
                raise UserError(f"{source} cannot be read: {error.strerror}") from error
            with file:
                return self.put_blob(file, media_type, expected=expected, lease=lease)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with disk.faults(f"write a blob into {self.root}"), self.blobs.draft() as draft:
            digest, size = draft.copy(stream)
            if expected not in (None, digest):
                raise UserError(
                    f"the content does not have the digest that was announced: expected {expected}, got {digest}",
                    next_step="It was changed or cut on its way: send it again.",
                )
            if lease is not None:
                lease.hold(digest)
            draft.publish(digest)
        return Descriptor(media_type, digest, size)

    def fetch(self, descriptor: Descriptor, lease: Lease) -> Fetch | None:
        """The right to fetch a blob from elsewhere, or None while another process or thread has it: ask again soon.

        The lease holds it first. Use it as a context manager, and look at ``whole`` before anything else::

            while (fetch := layout.fetch(descriptor, lease)) is None:
                await asyncio.sleep(0.05)
            with fetch:
                for start, end in () if fetch.whole else fetch.missing(16 * 2**20):  # side by side, as you like
                    fetch.write(data, start)
                if not fetch.whole:
                    fetch.finish()
        """
        lease.hold(descriptor.digest)
        with disk.faults(f"write to {self.partials}"):
            return fetching.begin(descriptor, self.partials, self.blobs)

    def touch(self, digest: Digest) -> bool:
        """Let the blob count as written now; whether it is there."""
        with disk.faults(f"change {self.blobs.path(digest)}"):
            return self.blobs.touch(digest)

    def touched(self, digest: Digest) -> datetime | None:
        """When a blob was written or touched, in UTC; None when it is not there."""
        return self.blobs.touched(digest)

    def sweep_temporaries(self) -> None:
        """Remove what processes that were killed had begun to write."""
        disk.sweep(self._temporaries)

    def blob_path(self, digest: Digest) -> Path:
        """Where a blob's file is, or would be: to name it in a message, not to read it."""
        return self.blobs.path(digest)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there in its full length; its bytes are verified when they are read.

        Hold it before: what nobody holds may be collected between this answer and its use.
        """
        return self.blobs.size(descriptor.digest) == descriptor.size

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Read a blob as a stream. What was read counts only when the block has ended without an error.

        At the end of the block the rest is read and size and digest are checked; an error inside the block
        becomes Corrupt when the blob is to blame.
        """
        with self._opened(descriptor) as raw:
            reader = digests.HashingReader(raw)
            try:
                yield io.BufferedReader(reader, digests.CHUNK)
            except Exception as error:
                self._check(descriptor, reader, cause=error)
                raise
            self._check(descriptor, reader)

    @contextmanager
    def open_unverified(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Read anywhere in a blob, and believe nothing of it: for who verifies elsewhere (a registry that is pushed
        to) and who looks only. Raises Corrupt when it is missing or has another size."""
        with self._opened(descriptor) as raw:
            if not self.has_blob(descriptor):
                raise self._corrupt_blob(descriptor, f"it does not have {descriptor.size} bytes")
            yield io.BufferedReader(raw, digests.CHUNK)

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """The verified bytes of a small blob (a config, a manifest)."""
        with self.open_blob(descriptor) as stream:
            return stream.read()

    # -- manifests and indexes

    def put_manifest(self, manifest: Manifest, tag: str | None = None, *, lease: Lease | None = None) -> Descriptor:
        """Store a manifest; without a tag nothing refers to it yet. Its blobs should be there before."""
        return self._put(manifest.to_bytes(), MANIFEST_TYPE, tag, lease)

    def put_index(self, index: Index, tag: str | None = None, *, lease: Lease | None = None) -> Descriptor:
        """Store an image index as a blob, as it is nested in others; what it refers to should be there before."""
        return self._put(index.to_bytes(), INDEX_TYPE, tag, lease)

    def put_manifest_bytes(
        self, data: bytes, media_type: str, tag: str | None = None, *, lease: Lease | None = None
    ) -> Descriptor:
        """Store another tool's manifest or index without changing a byte: its digest is that of these bytes.

        Raises UserError when they are no JSON object, Refused when there are more than 4 MiB of them.
        """
        self._check_size(Digest.of(data), len(data))
        try:
            documents.read(data)
        except ValueError as error:
            raise UserError(
                f"{Digest.of(data)} is no manifest of type {media_type}: {error}",
                next_step="Tell who made it, or who sent it: a manifest is one JSON object.",
            ) from error
        return self._put(data, media_type, tag, lease)

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """The manifest, OCI's or Docker's, verified. Raises Refused when it has more than 4 MiB."""
        return self._read(descriptor, Manifest)

    def read_index(self, descriptor: Descriptor) -> Index:
        """The nested index, or Docker's manifest list, verified. Raises Refused when it has more than 4 MiB."""
        return self._read(descriptor, Index)

    def read_artifact(self, descriptor: Descriptor) -> Manifest | Index:
        """Whichever of the two the media type says."""
        return self.read_index(descriptor) if descriptor.media_type in INDEX_TYPES else self.read_manifest(descriptor)

    def _put(self, data: bytes, media_type: str, tag: str | None, lease: Lease | None) -> Descriptor:
        blob = self.put_blob(data, media_type, lease=lease)
        descriptor = Descriptor(media_type, blob.digest, blob.size, artifact_type=artifact_type(data))
        if tag is not None:
            self.tag(descriptor, tag)
        return descriptor

    def _read(self, descriptor: Descriptor, kind: type[_Read]) -> _Read:
        self._check_size(descriptor.digest, descriptor.size)
        data = self.read_blob(descriptor)
        try:
            return kind.from_bytes(data)
        except documents.NOT_READABLE as error:
            raise self._corrupt_blob(descriptor, f"it is not {_NAMES[kind]} ({error!r})") from error

    # -- referrers

    def attach(self, artifact: Manifest | Index, *, lease: Lease | None = None) -> Descriptor:
        """Store an artifact that has a ``subject``, and list it among the subject's referrers. Idempotent.

        It lives as long as its subject does. Raises UserError without a subject.
        """
        data, media_type = artifact.to_bytes(), MANIFEST_TYPE if isinstance(artifact, Manifest) else INDEX_TYPE
        return self.attach_bytes(data, media_type, lease=lease)

    def attach_bytes(self, data: bytes, media_type: str, *, lease: Lease | None = None) -> Descriptor:
        """As :meth:`attach`, for another tool's manifest: not a byte is changed. Raises UserError when it is none."""
        with self.lease("attach") if lease is None else nullcontext(lease) as held:
            descriptor = self.put_manifest_bytes(data, media_type, lease=held)
            try:
                artifact = (Index if media_type in INDEX_TYPES else Manifest).from_bytes(data)
            except documents.NOT_READABLE as error:
                raise UserError(f"{descriptor.digest} is no manifest of type {media_type}: {error!r}") from error
            if artifact.subject is None:
                raise UserError(f"{descriptor.digest} says nothing of another artifact: it has no subject")
            tag, entry = referrers.tag_of(artifact.subject.digest), referrers.entry(descriptor, artifact)
            with self.edit() as edit:
                listed = edit.index.tags.get(tag)
                there = Index() if listed is None else self.read_index(listed)
                made = self.put_index(referrers.added(there, entry), lease=held)
                edit.index = edit.index.with_tag(tag, made)
        return entry

    def referrers(self, digest: Digest, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """What is attached to an artifact (of that type), oldest first, with the annotations of each."""
        listed = self.tags().get(referrers.tag_of(digest))
        found = () if listed is None else self.read_index(listed).manifests
        return tuple(one for one in found if artifact_type in (None, one.artifact_type))

    # -- tags

    def index(self) -> Index:
        """What the layout holds now: the same object for as long as the file stays the same."""
        return self._index.index()

    def tags(self) -> Mapping[str, Descriptor]:
        """Tag to what it names, sorted by tag; lists of referrers are tags too (``sha256-<hex>``)."""
        return self.index().tags

    def resolve(self, tag: str) -> Descriptor:
        """The manifest that a tag names. Raises NotFound."""
        found = self.tags().get(tag)
        if found is None:
            raise NotFound(f"the OCI layout {self.root} has no {tag!r}")
        return found

    def tag(self, descriptor: Descriptor, tag: str) -> None:
        """Let the tag name that manifest."""
        with self.edit() as edit:
            edit.index = edit.index.with_tag(tag, descriptor)

    def untag(self, tag: str) -> None:
        """Forget a tag. Idempotent; blobs stay until they are collected."""
        with self.edit() as edit:
            edit.index = edit.index.without_tag(tag)

    def edit(self) -> AbstractContextManager[Edit]:
        """Read, decide and change ``index.json`` while nobody else can; written at the end of the block, or not at all.

        Do not call ``tag``, ``untag``, ``attach`` or ``edit`` inside: they would wait for this block for ever.
        """
        return self._index.edit()

    # -- opening

    def _prepare(self) -> None:
        blobs = self.blobs.folder
        for folder in (self.root, blobs.parent, blobs, self._temporaries, self.partials, self.leases.folder):
            folder.mkdir(mode=0o700, parents=folder == self.root, exist_ok=True)
        if not self._marker.exists():
            self._create()
        try:
            marker = json.loads(self._marker.read_bytes())
        except ValueError as error:
            raise damaged(self._marker, f"it is not JSON ({error})") from error
        self._check_marker(marker)

    def _create(self) -> None:
        with disk.locked(self._lock):
            if self._marker.exists():
                return
            if any(self.blobs.folder.iterdir()):
                raise damaged(self._marker, "it is missing, and there are blobs")
            # The marker comes last: killed before it, the next process begins again with nothing to lose.
            self._index.write(Index())
            marker = ciphers.marked(_MARKER, self._cipher)
            disk.write(self._marker, json.dumps(marker).encode(), temporaries=self._temporaries)

    def _check_marker(self, marker: object) -> None:
        encrypted_with = marker.pop(ciphers.MARK, "") if isinstance(marker, dict) else ""
        if marker != _MARKER:
            raise damaged(self._marker, f"it says {marker!r}, allowed is {_MARKER!r}")
        ciphers.check_key(self.root, encrypted_with, self._cipher)

    # -- errors

    @contextmanager
    def _opened(self, descriptor: Descriptor) -> Iterator[io.RawIOBase]:
        path = self.blobs.path(descriptor.digest)
        with ExitStack() as stack:
            try:
                with disk.faults(f"read {path}", unless=FileNotFoundError):
                    raw = stack.enter_context(self.blobs.open(descriptor.digest))
            except FileNotFoundError:
                raise self._corrupt_blob(descriptor, "there is no such file") from None
            yield raw

    def _check_size(self, digest: Digest, size: int) -> None:
        if size > LARGEST_MANIFEST:
            raise Refused(
                f"the manifest {digest} has {size} bytes: at most {LARGEST_MANIFEST} are read",
                next_step="No tool writes such a manifest: do not trust its source.",
            )

    def _check(self, descriptor: Descriptor, reader: digests.HashingReader, cause: Exception | None = None) -> None:
        digest, size = reader.finish()
        if (digest, size) != (descriptor.digest, descriptor.size):
            actual = f"expected {descriptor.size} bytes with that digest, found {size} bytes with {digest}"
            raise self._corrupt_blob(descriptor, actual) from cause

    def _corrupt_blob(self, descriptor: Descriptor, actual: str) -> Corrupt:
        return Corrupt(
            f"blob {descriptor.digest} in {self.root} is damaged: {actual}",
            next_step="Make its content again, or stop the hub: `shipway hub repair` names what needs it.",
        )
