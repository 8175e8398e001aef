"""A model version in an image: the version's own blobs, and links to its files where the runtime looks for them.

A version's image twin (:mod:`shipway.models.twin`) has its files at the root of the file system. Its layers are
appended as they are, so a registry that has the version gets no byte of it again; a small layer of links puts the files
into ``/model``. What a layer holds is read from its tar: a version that was pulled may say anything of itself, and a
file of it could take the place of one of the base.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from shipway.errors import Corrupt, Refused
from shipway.image import listing
from shipway.image.bases import Base
from shipway.image.layer import Entry, Layer
from shipway.image.layers.write import with_folders
from shipway.oci import Descriptor, Digest, Layout, Manifest
from shipway.oci.document import NOT_READABLE
from shipway.oci.manifest import INDEX_TYPES

FOLDER = "model"
OURS = frozenset({"app", FOLDER, "opt"})  # what images of ours have at their root

_FILES_ALONE = "Images are made with versions whose layers hold files and folders."


def model_layers(
    layout: Layout, version: Descriptor, base: Base, cache: Path | None = None
) -> tuple[tuple[Layer, ...], tuple[Entry, ...]]:
    """The layers of a version as they lie in the layout, and the entries of the layer of links that is to follow them.

    ``cache`` remembers what layers hold, by digest. Raises Refused for a version without an image (``--raw``, or of a
    tool that makes none), and for one with a file where the base or Shipway has its own; Corrupt.
    """
    manifest = _twin(layout, version, base)
    files = [one for layer in manifest.layers for one in _files(layout, layer, base, cache)]
    links = (Entry(f"{FOLDER}/{name}", "link", target=_target(name)) for name in files)
    return tuple(_layers(layout, manifest)), with_folders(links)


def _twin(layout: Layout, version: Descriptor, base: Base) -> Manifest:
    """The image in a version's index that is for the base's platform."""
    wanted = base.platform.document()
    if version.media_type in INDEX_TYPES:
        for one in layout.read_index(version).manifests:
            if one.extra.get("platform") == wanted:
                return layout.read_manifest(one)
    raise Refused(
        f"{version.digest} has no image for {base.platform}: it was packed with --raw, or by another tool",
        next_step="Import its files as a new version: shipway model import",
    )


def _layers(layout: Layout, manifest: Manifest) -> Iterator[Layer]:
    try:
        diff_ids = [Digest(one) for one in json.loads(layout.read_blob(manifest.config))["rootfs"]["diff_ids"]]
        pairs = list(zip(manifest.layers, diff_ids, strict=True))
    except NOT_READABLE as error:
        raise Corrupt(f"the config {manifest.config.digest} of a model's image is damaged: {error!r}") from error
    for descriptor, diff_id in pairs:
        # Bare: what else was said of it is no part of an image of ours.
        yield Layer(descriptor.bare(), diff_id, "model")


def _files(layout: Layout, layer: Descriptor, base: Base, cache: Path | None) -> Iterator[str]:
    for one in listing.of_layer(layout, layer, cache):
        top = one.name.partition("/")[0]
        if one.kind not in ("file", "folder"):
            raise Refused(f"the model holds {one.name!r}, a {one.kind}", next_step=_FILES_ALONE)
        if top in base.top or top in OURS:
            whose = f"the base {base.name}" if top in base.top else "the image"
            raise Refused(
                f"the model's {one.name!r} would lie where {whose} has its own {top!r}",
                next_step=f"Rename {top!r} in the model: write it under another name, and make a new version.",
            )
        if one.kind == "file":
            yield one.name


def _target(name: str) -> str:
    return "../" * len(PurePosixPath(name).parts) + name
