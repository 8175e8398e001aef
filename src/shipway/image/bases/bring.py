"""From files into the layout: an image with all its blobs, each verified.

Sources: OCI image-spec v1.1.1, image-layout.md; Docker's image specification v1.2 ("Combined Image JSON + Filesystem
Changeset Format"), which `docker save` and `podman save` write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from shipway.errors import Corrupt, NotFound, Refused, UserError
from shipway.image.bases import stores
from shipway.image.bases.choose import LEVELS, choose
from shipway.image.bases.stores import Archive, Store
from shipway.image.platform import Platform
from shipway.oci import Descriptor, Digest, Index, Layout, Lease, Manifest
from shipway.oci.cancelling import in_thread
from shipway.oci.document import NOT_READABLE
from shipway.oci.label import label
from shipway.oci.manifest import INDEX_TYPES, LARGEST_MANIFEST, MANIFEST_TYPES
from shipway.transfer import Progress, Report

T = TypeVar("T")
_Document = TypeVar("_Document", list[Any], dict[str, Any])

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_TAR_TYPE = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True)
class Bringing:
    """Where to, held by whom, and who is told."""

    layout: Layout
    lease: Lease
    report: Report

    async def in_thread(self, work: Callable[[Bringing], T]) -> T:
        """Work in a thread, which ends at its next report when nobody waits for it any more."""
        return await in_thread(lambda report: work(replace(self, report=report)), self.report)


def from_layout(store: Store, tag: str, platform: Platform, name: str, to: Bringing) -> Descriptor:
    """The image of that tag (or the only one) for the platform. Raises NotFound, Refused, Corrupt."""
    found = _tagged(stores.index(store), tag, name)
    for _ in range(LEVELS):
        if found.media_type not in INDEX_TYPES:
            return _image(store, found, to)
        found = choose(_index(store, found), platform, name)
    raise Refused(f"the base {name} has more than {LEVELS} indexes within each other")


def from_docker(store: Archive, tag: str, name: str, to: Bringing) -> Descriptor:
    """The image of an archive of `docker save`, as OCI writes it: equal archives give equal manifests.

    Its layers stay as they are, tars without compression mostly. Raises NotFound, Refused, Corrupt.
    """
    said = _saved(_document(store, "manifest.json", list), tag, name)
    try:
        config, layers = str(said["Config"]), [str(one) for one in said["Layers"]]
        diff_ids = [Digest(one) for one in _document(store, config, dict)["rootfs"]["diff_ids"]]
    except (KeyError, TypeError) as error:
        raise _not_saved(store, repr(error)) from error
    if len(diff_ids) != len(layers):
        raise Corrupt(f"{store.path} has {len(layers)} layers, and its config tells of {len(diff_ids)}")
    brought = tuple(_layer(store, *one, to) for one in zip(layers, diff_ids, strict=True))
    blob = to.layout.put_blob(stores.read(store, config), _CONFIG_TYPE, lease=to.lease)
    return to.layout.put_manifest(Manifest(blob, brought), lease=to.lease)


def _tagged(index: Index, tag: str, name: str) -> Descriptor:
    if tag:
        if tag in index.tags:
            return index.tags[tag]
        raise NotFound(f"the base {name}: there is no {tag!r}", next_step=_there(index.tags))
    if len({one.digest for one in index.manifests}) != 1:
        several = f"{len(index.manifests)} images and no tag was named"
        raise UserError(f"the base {name}: there are {several}", next_step=_there(index.tags))
    return index.manifests[0]


def _there(tags: Iterable[str]) -> str:
    named = ", ".join(sorted(tags)[:20])
    return (
        f"Write PATH:TAG; there are: {named}" if named else "It has no tags: copy one image into a layout of its own."
    )


def _index(store: Store, descriptor: Descriptor) -> Index:
    data = _verified(store, descriptor)
    try:
        return Index.from_bytes(data)
    except NOT_READABLE as error:
        raise Corrupt(f"{descriptor.digest} in {store.path} is not an index: {error!r}") from error


def _image(store: Store, descriptor: Descriptor, to: Bringing) -> Descriptor:
    if descriptor.media_type not in MANIFEST_TYPES:
        raise Refused(f"{descriptor.digest} in {store.path} is {descriptor.media_type!r}, not an image")
    data = _verified(store, descriptor)
    try:
        manifest = Manifest.from_bytes(data)
    except NOT_READABLE as error:
        raise Corrupt(f"{descriptor.digest} in {store.path} is not a manifest: {error!r}") from error
    to.lease.hold(descriptor.digest)
    for blob in (*manifest.layers, manifest.config):
        _blob(store, blob, to)
    return to.layout.put_manifest_bytes(data, descriptor.media_type, lease=to.lease)


def _verified(store: Store, descriptor: Descriptor) -> bytes:
    data = stores.read(store, stores.blob(descriptor.digest), LARGEST_MANIFEST)
    if Digest.of(data) != descriptor.digest:
        raise Corrupt(f"{descriptor.digest} in {store.path} is damaged: it is {Digest.of(data)}")
    return data


def _blob(store: Store, blob: Descriptor, to: Bringing) -> None:
    to.lease.hold(blob.digest)
    note = "there already"
    if not to.layout.has_blob(blob):
        note = ""
        to.report(Progress(label(blob), 0, blob.size))
        with store.open(stores.blob(blob.digest)) as file:
            try:
                to.layout.put_blob(file, blob.media_type, expected=blob.digest, lease=to.lease)
            except UserError as error:
                raise Corrupt(f"{store.path}: {error.message}") from error
    to.report(Progress(label(blob), blob.size, blob.size, note))


def _layer(store: Archive, name: str, diff_id: Digest, to: Bringing) -> Descriptor:
    to.report(Progress(f"layer {diff_id.hex[:12]}", 0))
    to.lease.hold(diff_id)
    with store.open(name) as file:
        kind = _TAR_TYPE + _compression(file.peek(4)[:4])
        made = to.layout.put_blob(file, kind, lease=to.lease)
    if kind == _TAR_TYPE and made.digest != diff_id:
        raise Corrupt(f"{name} in {store.path} is {made.digest}, and the image's config says {diff_id}")
    to.report(Progress(f"layer {diff_id.hex[:12]}", made.size, made.size))
    return made


def _document(store: Archive, name: str, kind: type[_Document]) -> _Document:
    data = stores.read(store, name)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _not_saved(store, f"{name}: {error}") from error
    if not isinstance(found, kind):
        raise _not_saved(store, f"{name} is no {kind.__name__}")
    return found


def _not_saved(store: Store, why: str) -> Corrupt:
    return Corrupt(f"{store.path} is not an archive of `docker save`: {why}")


def _saved(images: list[Any], tag: str, name: str) -> dict[str, Any]:
    tags = [(one, str(each)) for one in images if isinstance(one, dict) for each in _list(one.get("RepoTags"))]
    fitting = [one for one, each in tags if each == tag or each.rpartition(":")[2] == tag] if tag else images
    if len(fitting) == 1 and isinstance(fitting[0], dict):
        return fitting[0]
    there = f"{len(fitting)} images of the archive are meant"
    raise UserError(f"the base {name}: {there}", next_step=_there(each for _, each in tags))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _compression(begins: bytes) -> str:
    if begins.startswith(b"\x1f\x8b"):
        return "+gzip"
    return "+zstd" if begins == b"\x28\xb5\x2f\xfd" else ""
