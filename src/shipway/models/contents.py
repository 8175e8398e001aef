"""What a version consists of: the manifests that name it, and its files with the layers that hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from shipway.models import artifact, modelpack
from shipway.oci import Descriptor, Digest, Index, Layout, unpack
from shipway.oci.digest import CHUNK
from shipway.oci.manifest import INDEX_TYPES


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file. ``digest`` is the same for equal files: of the content where files share a layer, else the layer's."""

    name: str
    size: int
    digest: str
    layer: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Contents:
    """``modelpack`` is the manifest of the files; ``images`` (by platform) are its twins, which runtimes can mount."""

    digest: str
    media_type: str
    modelpack: str
    images: Mapping[str, str] = field(default_factory=dict)
    files: tuple[PackedFile, ...] = ()


def contents(layout: Layout, descriptor: Descriptor) -> Contents:
    """What ``descriptor`` names. Layers that files share are read, others not. Raises Corrupt, Refused for no model."""
    manifest = artifact.manifest_of(layout, descriptor)
    images: Mapping[str, str] = {}
    if descriptor.media_type in INDEX_TYPES:
        images = _images(layout.read_index(descriptor), manifest.digest)
    files = (file for layer in layout.read_manifest(manifest).layers for file in _files(layout, layer))
    return Contents(
        digest=descriptor.digest,
        media_type=descriptor.media_type,
        modelpack=manifest.digest,
        images=images,
        files=tuple(sorted(files, key=lambda one: one.name)),
    )


def _images(index: Index, model: Digest) -> Mapping[str, str]:
    found = {}
    for one in index.manifests:
        platform = one.extra.get("platform") or {}
        if one.digest != model and isinstance(platform, Mapping):
            found[f"{platform.get('os', 'unknown')}/{platform.get('architecture', 'unknown')}"] = one.digest
    return found


def _files(layout: Layout, layer: Descriptor) -> Iterator[PackedFile]:
    name = modelpack.file_of(layer)
    if name is not None or not unpack.is_tar(layer.media_type):
        size = modelpack.metadata_of(layer).size
        yield PackedFile(
            name=name or layer.annotations.get(modelpack.FILEPATH) or layer.digest,
            size=layer.size if size is None else size,
            digest=layer.digest,
            layer=layer.digest,
            media_type=layer.media_type,
        )
        return
    with layout.open_blob(layer) as blob:
        for member, content in unpack.files(blob, layer.media_type):
            hasher = hashlib.sha256()
            while data := content.read(CHUNK):
                hasher.update(data)
            digest = f"sha256:{hasher.hexdigest()}"
            yield PackedFile(member.name, member.size, digest, layer.digest, layer.media_type)
