"""The image-compatible twin of a ModelPack: the same layer blobs as images that a container runtime can mount. Pure.

The payload of a ModelPack ``.tar`` layer and of an OCI image layer are the same bytes, so each blob is stored once and
named twice. One index holds the ModelPack manifest and an image for each platform: Kubernetes image volumes,
containerd, skopeo and umoci find an image, ModelPack tools find a model. Runtimes skip the ModelPack because its
platform is ``unknown/unknown``, as they skip what buildx attests to beside an image.

Source: OCI image-spec v1.1.1, image-index.md, config.md, layer.md; CNCF model-spec v1 for the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shipway.models.modelpack import Form, Layer
from shipway.oci import Descriptor, Index, Manifest
from shipway.oci.manifest import canonical

IMAGE_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
ARCHITECTURES = ("amd64", "arm64")  # a model runs on both: the images differ in the name alone
_NO_PLATFORM = {"architecture": "unknown", "os": "unknown"}


def config(architecture: str, layers: Sequence[Layer], created_at: datetime | None) -> bytes:
    """The config of an image that holds files and runs nothing."""
    created = {} if created_at is None else {"created": created_at.isoformat()}
    return canonical(
        {
            **created,
            **_platform(architecture),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        }
    )


def image(config: Descriptor, layers: Sequence[Layer], form: Form) -> Manifest:
    """An image over the blobs of these layers."""
    layer_type = f"application/vnd.oci.image.layer.v1.{form}"
    return Manifest(
        config=replace(config, media_type=IMAGE_CONFIG_TYPE),
        layers=tuple(Descriptor(layer_type, one.descriptor.digest, one.descriptor.size) for one in layers),
    )


def index(modelpack: Descriptor, images: Mapping[str, Descriptor]) -> Index:
    """The index that names both; ``images`` by architecture."""
    return Index(
        (
            _on(modelpack, _NO_PLATFORM),
            *(_on(one, _platform(architecture)) for architecture, one in images.items()),
        )
    )


def _on(manifest: Descriptor, platform: Mapping[str, Any]) -> Descriptor:
    # Without the artifactType that a descriptor may have: skopeo 1.9 (Debian 12) drops it, and then cannot copy the
    # index with its digest. The manifest itself says what it is.
    return Descriptor(manifest.media_type, manifest.digest, manifest.size, extra={"platform": dict(platform)})


def _platform(architecture: str) -> dict[str, str]:
    return {"architecture": architecture, "os": "linux"}
