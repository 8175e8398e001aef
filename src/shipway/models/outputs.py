"""What a job left, on its way home from a cluster: an artifact over the very layers that a version is made of.

So packing it as a version stores nothing twice, and pushing that version sends nothing again.
"""

from __future__ import annotations

from collections.abc import Sequence

from shipway.models import modelpack
from shipway.models.modelpack import Layer
from shipway.oci import EMPTY_CONFIG, Manifest

ARTIFACT_TYPE = "application/vnd.shipway.output.v1"


def manifest(layers: Sequence[Layer]) -> Manifest:
    """The artifact. No time and no name is in it: equal files are one digest."""
    return Manifest(
        config=EMPTY_CONFIG,
        layers=tuple(one.descriptor for one in layers),
        artifact_type=ARTIFACT_TYPE,
        annotations={modelpack.CONTENT: modelpack.content_digest(layers)},
    )
