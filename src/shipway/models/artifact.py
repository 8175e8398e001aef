"""What an artifact is, and its manifest: of an index of ours, of a ModelPack of any tool, of a KitOps ModelKit."""

from __future__ import annotations

from shipway import formats
from shipway.errors import Refused
from shipway.models import modelpack
from shipway.oci import Descriptor, Layout, Manifest
from shipway.oci.manifest import INDEX_TYPES, LARGEST_MANIFEST
from shipway.oci.unpack import files, is_tar

MODELKIT_CONFIG = "application/vnd.kitops.modelkit.config.v1+json"

# What people push beside models, by the type of the artifact or of its config: said in the error, never guessed.
_KNOWN = {
    "application/vnd.oci.image.config.v1+json": "a container image",
    "application/vnd.docker.container.image.v1+json": "a container image, or a model of Ollama",
    "application/vnd.docker.ai.model.config.v0.1+json": "a model of Docker Model Runner's own format",
    "application/vnd.shipway.dataset.v1": "a data set: see `shipway data pull`",
    "application/vnd.shipway.source.v1": "a snapshot of sources",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "a signature",
    "application/vnd.cncf.helm.config.v1+json": "a Helm chart",
}


def opened(layout: Layout, descriptor: Descriptor) -> Manifest:
    """The manifest whose layers hold the files of whatever ``descriptor`` names: the ModelPack in an index, a plain
    ModelPack manifest, a ModelKit, and for other artifacts (a snapshot, a data set) their own manifest.

    Raises Refused for an index without a ModelPack, with what it is instead; Corrupt.
    """
    return layout.read_manifest(manifest_of(layout, descriptor))


def manifest_of(layout: Layout, descriptor: Descriptor) -> Descriptor:
    """Which manifest :func:`opened` opens: of an index the ModelPack in it, else ``descriptor``. Raises as it does."""
    if descriptor.media_type not in INDEX_TYPES:
        return descriptor
    entries = layout.read_index(descriptor).manifests
    for one in entries:  # the ModelPack of ours is the first
        there = one.media_type not in INDEX_TYPES and layout.has_blob(one)
        if there and layout.read_manifest(one).artifact_type == modelpack.MANIFEST_TYPE:
            return one
    raise Refused(
        f"{descriptor.digest} is no model: it is an image index of {len(entries)} manifest(s), and none is a ModelPack",
        next_step="Name the reference of a model: container images are run, not pulled as models.",
    )


def checked_model(layout: Layout, descriptor: Descriptor) -> Manifest:
    """The manifest of a model. Raises Refused for what is none, with what it is; Corrupt."""
    manifest = opened(layout, descriptor)
    if manifest.artifact_type == modelpack.MANIFEST_TYPE or manifest.config.media_type in _MODELS:
        return manifest
    raise Refused(
        f"{descriptor.digest} is no model: it is {_named(manifest)}",
        next_step="Models are ModelPack artifacts (CNCF model-spec v1) and ModelKits of KitOps.",
    )


def _named(manifest: Manifest) -> str:
    found = manifest.artifact_type or manifest.config.media_type
    return _KNOWN.get(found) or f"an artifact of the type {found}"


_MODELS = frozenset({modelpack.CONFIG_TYPE, MODELKIT_CONFIG})


def config_of(layout: Layout, manifest: Manifest) -> bytes:
    """The bytes of a model's config. Raises Refused for one that is too large to be one, Corrupt."""
    if manifest.config.size > LARGEST_MANIFEST:
        raise Refused(f"the config {manifest.config.digest} of a model has {manifest.config.size} bytes: that is none")
    return layout.read_blob(manifest.config)


def heads(layout: Layout, manifest: Manifest) -> dict[str, bytes]:
    """The names of a model's files, each with how the file begins: of a layer that names its one file, from the
    manifest, and without reading it unless the name leaves the format open; of others, by reading the layer.

    Raises Refused, Corrupt.
    """
    found: dict[str, bytes] = {}
    for layer in manifest.layers:
        name = modelpack.file_of(layer)
        if name is not None and not name.lower().endswith(".bin"):
            found[name] = b""
        elif is_tar(layer.media_type):
            with layout.open_blob(layer) as blob:
                found.update((one.name, content.read(formats.HEAD)) for one, content in files(blob, layer.media_type))
        elif name is not None:
            with layout.open_blob(layer) as blob:
                found[name] = blob.read(formats.HEAD)
    return found
