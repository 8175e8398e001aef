"""Layout: blobs, manifests and tags in a folder, safe for several processes and for kill -9.

``oci-layout``, ``index.json`` and ``blobs/sha256/`` are the specification's; ``tmp/`` holds what is being
written, ``.lock`` is held while ``index.json`` changes. Source: OCI image-spec v1.1.1, image-layout.md.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shipway.errors import Corrupt, NotFound, UserError
from shipway.oci import digest as digests
from shipway.oci import disk
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.index import Index
from shipway.oci.manifest import MANIFEST_TYPE, Manifest

BlobSource = BinaryIO | bytes | Path

_MARKER = {"imageLayoutVersion": "1.0.0"}
_NOT_READABLE = (KeyError, TypeError, ValueError, AttributeError, UserError)


class Edit:
    """What an :meth:`Layout.edit` block changes: give ``index`` a new value."""

    def __init__(self, index: Index) -> None:
        self.index = index


class Layout:
    """An OCI image layout. A folder that is absent or empty becomes a new one; a damaged one never does.

    Every method raises Corrupt when the files on disk are not what they should be, and EnvironmentFault
    when the disk is full or not writable; then nothing half written is visible.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._temporaries = root / "tmp"
        self._index = root / "index.json"
        self._marker = root / "oci-layout"
        self._lock = root / ".lock"
        self._parsed: tuple[disk.Signature | None, Index] | None = None  # index.json as it was read last
        with disk.faults(f"open the OCI layout {root}"):
            self._prepare()
            disk.sweep(self._temporaries)

    # -- blobs

    def put_blob(
        self, source: BlobSource, media_type: str = "application/octet-stream", *, expected: Digest | None = None
    ) -> Descriptor:
        """Store content and say what it is. Idempotent; a damaged blob of the same digest is mended.

        Raises UserError for a path that cannot be read, and when the content does not have the ``expected`` digest;
        nothing is kept then.
        """
        if isinstance(source, Path):
            try:
                file = source.open("rb")
            except OSError as error:
                raise UserError(f"{source} cannot be read: {error.strerror}") from error
            with file:
                return self.put_blob(file, media_type, expected=expected)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with disk.faults(f"write a blob into {self.root}"), disk.temporary(self._temporaries) as (path, target):
            digest, size = digests.copy(stream, target)
            if expected not in (None, digest):
                raise UserError(
                    f"the content does not have the digest that was announced: expected {expected}, got {digest}",
                    next_step="It was changed or cut on its way: send it again.",
                )
            disk.publish(path, target, self.blob_path(digest))
        return Descriptor(media_type, digest, size)

    def blob_path(self, digest: Digest) -> Path:
        """Where a blob's file is, or would be."""
        return self._blobs / digest.hex

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the blob is there in its full length; its bytes are verified when they are read."""
        try:
            return self.blob_path(descriptor.digest).stat().st_size == descriptor.size
        except FileNotFoundError:
            return False

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """Read a blob as a stream. What was read counts only when the block has ended without an error.

        At the end of the block the rest is read and size and digest are checked; an error inside the block
        becomes Corrupt when the blob is to blame.
        """
        path = self.blob_path(descriptor.digest)
        try:
            with disk.faults(f"read {path}", unless=FileNotFoundError):
                file = path.open("rb")
        except FileNotFoundError:
            raise self._corrupt_blob(descriptor, "there is no such file") from None
        with file:
            reader = digests.HashingReader(file)
            try:
                yield io.BufferedReader(reader, digests.CHUNK)
            except Exception as error:
                self._check(descriptor, reader, cause=error)
                raise
            self._check(descriptor, reader)

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """The verified bytes of a small blob (a config, a manifest)."""
        with self.open_blob(descriptor) as stream:
            return stream.read()

    # -- manifests and tags

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> Descriptor:
        """Store a manifest; without a tag nothing refers to it yet. Its blobs should be there before."""
        blob = self.put_blob(manifest.to_bytes(), MANIFEST_TYPE)
        descriptor = Descriptor(blob.media_type, blob.digest, blob.size, artifact_type=manifest.artifact_type)
        if tag is not None:
            self.tag(descriptor, tag)
        return descriptor

    def read_manifest(self, descriptor: Descriptor) -> Manifest:
        """The manifest, verified."""
        data = self.read_blob(descriptor)
        try:
            return Manifest.from_bytes(data)
        except _NOT_READABLE as error:
            raise self._corrupt_blob(descriptor, f"it is not a manifest ({error!r})") from error

    def index(self) -> Index:
        """What the layout holds now: the same object for as long as the file stays the same."""
        # Before the bytes: a file that is replaced in between is read once more, and never taken for the old.
        now = disk.signature(self._index)
        known = self._parsed
        if known is None or now is None or known[0] != now:
            known = self._parsed = now, self._read_index()
        return known[1]

    def _read_index(self) -> Index:
        try:
            with disk.faults(f"read {self._index}", unless=FileNotFoundError):
                data = self._index.read_bytes()
            return Index.from_bytes(data)
        except FileNotFoundError:
            raise self._corrupt_file(self._index, "it is missing") from None
        except _NOT_READABLE as error:
            raise self._corrupt_file(self._index, f"it is not an image index ({error!r})") from error

    def tags(self) -> dict[str, Descriptor]:
        """Tag to what it names, sorted by tag."""
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
        """Forget a tag. Idempotent; blobs stay."""
        with self.edit() as edit:
            edit.index = edit.index.without_tag(tag)

    @contextmanager
    def edit(self) -> Iterator[Edit]:
        """Read, decide and change ``index.json`` while nobody else can; written at the end of the block, or not at all.

        Do not call ``tag``, ``untag`` or ``edit`` inside: they would wait for this block for ever.
        """
        with disk.faults(f"change {self._index}"), disk.locked(self._lock):
            before = self._read_index()
            edit = Edit(before)
            yield edit
            if edit.index != before:
                disk.write(self._index, edit.index.to_bytes(), temporaries=self._temporaries)

    # -- opening

    def _prepare(self) -> None:
        for folder in (self.root, self._blobs.parent, self._blobs, self._temporaries):
            folder.mkdir(mode=0o700, parents=folder == self.root, exist_ok=True)
        if not self._marker.exists():
            self._create()
        try:
            marker = json.loads(self._marker.read_bytes())
        except ValueError as error:
            raise self._corrupt_file(self._marker, f"it is not JSON ({error})") from error
        if marker != _MARKER:
            raise self._corrupt_file(self._marker, f"it says {marker!r}, allowed is {_MARKER!r}")

    def _create(self) -> None:
        with disk.locked(self._lock):
            if self._marker.exists():
                return
            if any(self._blobs.iterdir()):
                raise self._corrupt_file(self._marker, "it is missing, and there are blobs")
            # The marker comes last: killed before it, the next process begins again with nothing to lose.
            disk.write(self._index, Index().to_bytes(), temporaries=self._temporaries)
            disk.write(self._marker, json.dumps(_MARKER).encode(), temporaries=self._temporaries)

    # -- errors

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

    def _corrupt_file(self, path: Path, actual: str) -> Corrupt:
        return Corrupt(
            f"{path} is damaged: {actual}",
            next_step=f"Restore the file from a backup, or move {self.root} away to begin anew.",
        )
