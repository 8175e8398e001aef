"""The form of a data set as an OCI artifact: what its manifests say, written and read.

One manifest of artifact type :data:`ARTIFACT_TYPE`: the first layer is the file list (:mod:`shipway.data.files`), the
others are the chunks of all files, one after the other, in the order of the list. Above :data:`MOST_LAYERS` chunks
(registries refuse manifests of 4 MB) it is an image index of such manifests, the first of which begins with the list.
Every chunk is a layer: registries, ``skopeo copy`` and the garbage collector need not know what a data set is.
Sources: OCI image-spec v1.1.1, manifest.md ("Guidelines for Artifact Usage"), image-index.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from shipway.data.files import LARGEST_LIST, LIST_TYPE, DataFile, from_bytes
from shipway.errors import Corrupt
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.document import NOT_READABLE
from shipway.oci.leases import Lease
from shipway.oci.manifest import INDEX_TYPES, canonical

ARTIFACT_TYPE = "application/vnd.shipway.dataset.v1"
CHUNK_TYPE = "application/vnd.shipway.dataset.chunk.v1"
SUMMARY = "dev.shipway.dataset+json"  # annotation: read without any further blob, and kept by every registry
MOST_LAYERS = 10_000  # of one manifest: 1.8 MB of JSON


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the files of a data set lie that is pinned and not kept here. ``secret`` is a name, never a value."""

    uri: str
    endpoint: str = ""
    secret: str = ""
    allow_http: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data without what is empty."""
        found = {"uri": self.uri, "endpoint": self.endpoint, "secret": self.secret, "allowHttp": self.allow_http}
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse. Raises KeyError."""
        endpoint, secret = (str(document.get(name, "")) for name in ("endpoint", "secret"))
        return cls(str(document["uri"]), endpoint, secret, allow_http=document.get("allowHttp") is True)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is said of a data set as a whole. ``content`` is the digest of the file list: the files and nothing else."""

    files: int
    size: int  # bytes of all files
    content: Digest
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    remote: Remote | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        found: dict[str, Any] = {"files": self.files, "size": self.size, "content": self.content}
        if self.labels:
            found["labels"] = dict(self.labels)
        return found if self.remote is None else {**found, "remote": self.remote.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse. Raises KeyError, TypeError, ValueError or UserError."""
        remote = document.get("remote")
        return cls(
            files=int(document["files"]),
            size=int(document["size"]),
            content=Digest(document["content"]),
            labels={str(name): str(value) for name, value in dict(document.get("labels") or {}).items()},
            remote=None if remote is None else Remote.from_json(remote),
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """A data set as it was read: nothing of its content yet."""

    summary: Summary
    listing: Descriptor
    chunks: tuple[Descriptor, ...] = ()  # in the order of the bytes; one may come several times


def store(
    layout: Layout, listing: Descriptor, chunks: Sequence[Descriptor], summary: Summary, lease: Lease
) -> Descriptor:
    """Write the manifests over blobs that are there; what the whole is called. Nothing refers to it yet.

    Equal content, labels and remote give an equal digest, whoever wrote it, where and when.
    """
    layout.put_blob(EMPTY_CONFIG_BYTES, lease=lease)
    said = {SUMMARY: canonical(summary.to_json()).decode()}
    layers = [listing, *(Descriptor(CHUNK_TYPE, one.digest, one.size) for one in chunks)]
    if len(layers) <= MOST_LAYERS:
        return layout.put_manifest(Manifest(EMPTY_CONFIG, tuple(layers), ARTIFACT_TYPE, said), lease=lease)
    starts = range(0, len(layers), MOST_LAYERS)
    parts = (Manifest(EMPTY_CONFIG, tuple(layers[one : one + MOST_LAYERS]), ARTIFACT_TYPE) for one in starts)
    stored = tuple(layout.put_manifest(one, lease=lease) for one in parts)
    return layout.put_index(Index(stored, ARTIFACT_TYPE, said), lease=lease)


def is_data(descriptor: Descriptor) -> bool:
    """Whether that is a data set, by its descriptor."""
    return descriptor.artifact_type == ARTIFACT_TYPE


def summary(layout: Layout, descriptor: Descriptor) -> Summary:
    """What is said of a data set: its first manifest or index is read. Raises Corrupt for what is none."""
    return _summary(descriptor, layout.read_artifact(descriptor).annotations)


def opened(layout: Layout, descriptor: Descriptor) -> Artifact:
    """A data set with the names of its blobs. Raises Corrupt."""
    if descriptor.media_type not in INDEX_TYPES:
        manifest = layout.read_manifest(descriptor)
        said, layers = _summary(descriptor, manifest.annotations), manifest.layers
    else:
        index = layout.read_index(descriptor)
        said = _summary(descriptor, index.annotations)
        layers = tuple(layer for part in index.manifests for layer in layout.read_manifest(part).layers)
    if not layers or layers[0].media_type != LIST_TYPE or layers[0].digest != said.content:
        raise _no_data_set(descriptor, "its first layer is not the file list that it names")
    if any(one.media_type != CHUNK_TYPE for one in layers[1:]):
        raise _no_data_set(descriptor, f"it has layers that are not {CHUNK_TYPE}")
    if said.remote is None and sum(one.size for one in layers[1:]) != said.size:
        raise _no_data_set(descriptor, f"its chunks are not the {said.size} bytes of its files")
    return Artifact(said, layers[0], layers[1:])


def read_files(layout: Layout, artifact: Artifact) -> tuple[DataFile, ...]:
    """The files of a data set, sorted by name. Raises Corrupt, Refused."""
    if artifact.listing.size > LARGEST_LIST:
        raise Corrupt(f"the file list {artifact.listing.digest} has {artifact.listing.size} bytes: that is no list")
    files = from_bytes(layout.read_blob(artifact.listing))
    if len(files) != artifact.summary.files or sum(one.size for one in files) != artifact.summary.size:
        raise Corrupt(f"the file list {artifact.listing.digest} does not hold what the data set says of itself")
    return files


def _summary(descriptor: Descriptor, annotations: Mapping[str, str]) -> Summary:
    try:
        return Summary.from_json(json.loads(annotations[SUMMARY]))
    except NOT_READABLE as error:
        raise _no_data_set(descriptor, f"its annotation {SUMMARY} cannot be read ({error!r})") from error


def _no_data_set(descriptor: Descriptor, why: str) -> Corrupt:
    return Corrupt(f"{descriptor.digest} is not a data set of Shipway: {why}", next_step="Add or pull it again.")
