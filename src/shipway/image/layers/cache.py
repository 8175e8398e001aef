"""Layers that were made before: a small file for each says where its blob is.

``HOME/cache/image/layers/<key>.json``; the key is a digest of all that decides the layer's bytes. A file is replaced in
one step, so it can be written by two builds at once, and one that was killed leaves the old or the new one. Nothing of
it is believed that does not hold: a file that cannot be read, or whose blob is gone, counts as absent.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from shipway.image.layer import Layer, PackageFacts
from shipway.oci import Descriptor, Digest, Layout, disk
from shipway.oci.document import NOT_READABLE
from shipway.oci.leases import Lease


class LayerCache:
    """What is known of layers by key. Safe for threads and processes."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        """``folder`` is made when the first layer is put there."""
        self._folder = folder
        self._layout = layout

    def get(self, key: str, lease: Lease) -> Layer | None:
        """The layer, held by the lease, or None. Its blob is there; its bytes are verified when they are read."""
        try:
            layer = _layer(json.loads(self._path(key).read_bytes()))
        except (OSError, *NOT_READABLE):
            return None
        lease.hold(layer.descriptor.digest)
        return layer if self._layout.has_blob(layer.descriptor) else None

    def put(self, key: str, layer: Layer) -> None:
        """Remember the layer. Raises EnvironmentFault when the disk is full."""
        with disk.faults(f"write to {self._folder}"):
            disk.keep(self._path(key), json.dumps(_document(layer)).encode())

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _document(layer: Layer) -> dict[str, Any]:
    return {
        "descriptor": layer.descriptor.to_json(),
        "diffId": layer.diff_id,
        "createdBy": layer.created_by,
        "packages": [dataclasses.asdict(one) for one in layer.packages],
    }


def _layer(document: Any) -> Layer:
    packages = tuple(PackageFacts(**{**one, "requires": tuple(one["requires"])}) for one in document["packages"])
    return Layer(
        Descriptor.from_json(document["descriptor"]), Digest(document["diffId"]), str(document["createdBy"]), packages
    )
