"""What a registry holds: bytes by digest, and what each repository knows of them. No HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from shipway.oci import Digest
from shipway.testing.registry.answers import CHUNK


class Contents(Protocol):
    """Where the bytes are; each digest once, whatever repositories have it."""

    def create(self) -> IO[bytes]:
        """A file for an upload, to be written and read."""

    def keep(self, upload: IO[bytes], digest: Digest) -> None:
        """The upload is whole: it is the content of that digest from now on."""

    def open(self, digest: Digest) -> IO[bytes]:
        """The content, to be read. Raises KeyError."""

    def size(self, digest: Digest) -> int:
        """Bytes. Raises KeyError."""


class InMemory:
    """Contents in memory."""

    def __init__(self) -> None:
        self._contents: dict[Digest, bytes] = {}

    def create(self) -> IO[bytes]:
        return io.BytesIO()

    def keep(self, upload: IO[bytes], digest: Digest) -> None:
        upload.seek(0)
        self._contents[digest] = upload.read()
        upload.close()

    def open(self, digest: Digest) -> IO[bytes]:
        return io.BytesIO(self._contents[digest])

    def size(self, digest: Digest) -> int:
        return len(self._contents[digest])


class InFolder:
    """Contents as files of a folder, for those that do not fit into memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def create(self) -> IO[bytes]:
        return (self._folder / f"upload-{uuid.uuid4().hex}").open("w+b")

    def keep(self, upload: IO[bytes], digest: Digest) -> None:
        upload.close()
        Path(upload.name).replace(self._folder / digest.hex)

    def open(self, digest: Digest) -> IO[bytes]:
        try:
            return (self._folder / digest.hex).open("rb")
        except FileNotFoundError:
            raise KeyError(digest) from None

    def size(self, digest: Digest) -> int:
        try:
            return (self._folder / digest.hex).stat().st_size
        except FileNotFoundError:
            raise KeyError(digest) from None


@dataclass(slots=True)
class Upload:
    """A blob on its way."""

    repository: str
    file: IO[bytes]
    size: int = 0
    last_chunk: int | None = None  # bytes
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)

    def digest(self) -> Digest:
        """Of what has come."""
        self.file.seek(0)
        found = hashlib.file_digest(self.file, "sha256").hexdigest()  # type: ignore[arg-type]
        self.file.seek(0, io.SEEK_END)
        return Digest(f"sha256:{found}")


@dataclass(slots=True)
class Repository:
    """What one repository has: a blob of another one is not here until it is mounted."""

    blobs: set[Digest] = field(default_factory=set)
    manifests: dict[Digest, str] = field(default_factory=dict)  # to the media type
    tags: dict[str, Digest] = field(default_factory=dict)
    referrers: dict[Digest, dict[Digest, dict[str, Any]]] = field(default_factory=dict)  # subject -> descriptors


class Holdings:
    """Repositories and uploads. Written by the server's thread and by tests, hence the lock."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.repositories: dict[str, Repository] = {}
        self.uploads: dict[str, Upload] = {}
        self._lock = threading.RLock()

    def at(self, name: str) -> Repository:
        """That repository; made when nobody wrote to it before."""
        with self._lock:
            return self.repositories.setdefault(name, Repository())

    def known(self, name: str) -> Repository | None:
        """That repository, unless nobody wrote to it before."""
        return self.repositories.get(name)

    def begin(self, repository: str) -> Upload:
        upload = Upload(repository, self.contents.create())
        self.uploads[upload.name] = upload
        return upload

    def cancel(self, upload: Upload) -> None:
        self.uploads.pop(upload.name, None)
        upload.file.close()
        if isinstance(self.contents, InFolder):
            Path(upload.file.name).unlink()

    def finish(self, upload: Upload, digest: Digest) -> None:
        """The upload becomes a blob of its repository."""
        self.uploads.pop(upload.name, None)
        self.contents.keep(upload.file, digest)
        self.at(upload.repository).blobs.add(digest)

    def add_blob(self, repository: str, data: bytes, digest: Digest | None = None) -> Digest:
        """Put a blob there, under its own digest or under a wrong one."""
        kept = digest or Digest.of(data)
        self._keep(data, kept)
        self.at(repository).blobs.add(kept)
        return kept

    def add_manifest(
        self, repository: str, data: bytes, media_type: str, tag: str | None = None, digest: Digest | None = None
    ) -> Digest:
        """Put a manifest there, whatever it is, under its own digest or under a wrong one."""
        kept = digest or Digest.of(data)
        self._keep(data, kept)
        found = self.at(repository)
        with self._lock:
            found.manifests[kept] = media_type
            if tag is not None:
                found.tags[tag] = kept
            if subject := subject_of(data):
                found.referrers.setdefault(subject, {})[kept] = descriptor_of(data, media_type, kept)
        return kept

    def remove_manifest(self, repository: str, digest: Digest) -> None:
        found = self.at(repository)
        with self._lock:
            found.manifests.pop(digest, None)
            found.tags = {tag: named for tag, named in found.tags.items() if named != digest}
            for descriptors in found.referrers.values():
                descriptors.pop(digest, None)

    def read(self, digest: Digest) -> bytes:
        """The whole content. Raises KeyError."""
        with self.contents.open(digest) as file:
            return file.read()

    def chunks(self, digest: Digest, start: int, length: int) -> Iterator[bytes]:
        """A part of the content, as it goes to the socket."""
        with self.contents.open(digest) as file:
            file.seek(start)
            while length > 0 and (chunk := file.read(min(CHUNK, length))):
                length -= len(chunk)
                yield chunk

    def _keep(self, data: bytes, digest: Digest) -> None:
        file = self.contents.create()
        file.write(data)
        self.contents.keep(file, digest)


def subject_of(data: bytes) -> Digest | None:
    """The digest of what a manifest refers to; None for what is no manifest with a subject."""
    document = document_of(data)
    subject = document.get("subject") if document else None
    found = str(subject.get("digest", "")) if isinstance(subject, dict) else ""
    return Digest(found) if is_digest(found) else None


def descriptor_of(data: bytes, media_type: str, digest: Digest) -> dict[str, Any]:
    """How a manifest is listed among the referrers. Source: distribution-spec v1.1.1, "Listing Referrers"."""
    document = document_of(data) or {}
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    listed = {
        "mediaType": media_type,
        "digest": str(digest),
        "size": len(data),
        "artifactType": kind,
        "annotations": document.get("annotations"),
    }
    return {name: value for name, value in listed.items() if value is not None}


def document_of(data: bytes) -> dict[str, Any] | None:
    """The JSON object that these bytes are, or None."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_digest(text: str) -> bool:
    """Whether that is the text of a digest that this registry can have: sha256 and nothing else."""
    algorithm, _, value = text.partition(":")
    return algorithm == "sha256" and len(value) == 64 and set(value) <= set("0123456789abcdef")
