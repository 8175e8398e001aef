"""The parts of an image: its manifest and config for each platform. What others wrote is read with care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.errors import Refused, UserError
from shipway.image.assemble import BASE_DIGEST, BASE_NAME, CONFIG_TYPE
from shipway.oci import Descriptor, Layout, Manifest
from shipway.oci import document as documents
from shipway.oci.manifest import LARGEST_MANIFEST
from shipway.oci.tree import manifests
from shipway.oci.unpack import is_tar

_CONFIGS = (CONFIG_TYPE, "application/vnd.docker.container.image.v1+json")
_NONE = "unknown/unknown"  # what buildx and we put beside images in an index


@dataclass(frozen=True, slots=True)
class Part:
    """An image for one platform. ``config`` is the whole document, ``runs`` what it says of a container."""

    descriptor: Descriptor
    platform: str  # "linux/amd64"
    manifest: Manifest
    config: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all its blobs, as they travel."""
        return sum(one.size for one in self.blobs)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return (self.descriptor, self.manifest.config, *self.manifest.layers)

    @property
    def base(self) -> tuple[str, str]:
        """Name and digest of what it stands on; empty when it does not say, the name for what was a file, too."""
        said = self.manifest.annotations
        return said.get(BASE_NAME, ""), said.get(BASE_DIGEST, "")

    @property
    def runs(self) -> Mapping[str, Any]:
        said = self.config.get("config")
        return said if isinstance(said, Mapping) else {}

    @property
    def commands(self) -> tuple[str, ...]:
        """What made each layer, as the history says; empty where it does not say it of each."""
        history = self.config.get("history")
        steps = [one for one in history if isinstance(one, Mapping)] if isinstance(history, list) else []
        made = [str(one.get("created_by") or one.get("comment") or "") for one in steps if not one.get("empty_layer")]
        return tuple(made) if len(made) == len(self.manifest.layers) else ("",) * len(self.manifest.layers)


def parts(layout: Layout, image: Descriptor, name: str) -> tuple[Part, ...]:
    """The platforms of an image. Raises UserError for what is no image, Corrupt."""
    found = [_part(layout, one, name) for one in manifests(layout, image) if _is_one(one)]
    images = tuple(one for one in found if one is not None)
    if not images:
        raise UserError(f"{name} is no image that runs", next_step="For models see `shipway models show`.")
    return images


def _is_one(one: Descriptor) -> bool:
    # The index itself is among its manifests, and so is what buildx attests to beside an image.
    said = one.extra.get("platform")
    return not isinstance(said, Mapping) or _platform(said) != _NONE


def _part(layout: Layout, one: Descriptor, name: str) -> Part | None:
    manifest = layout.read_artifact(one)
    if not isinstance(manifest, Manifest) or manifest.config.media_type not in _CONFIGS:
        return None
    if not all(is_tar(layer.media_type) for layer in manifest.layers):
        return None
    if manifest.config.size > LARGEST_MANIFEST:
        raise Refused(f"the config of {name} has {manifest.config.size} bytes: at most {LARGEST_MANIFEST} are read")
    try:
        config = documents.read(layout.read_blob(manifest.config))
    except ValueError as error:
        raise UserError(f"the config of {name} cannot be read: {error}") from error
    return Part(one.bare(), _platform(config), manifest, config)


def _platform(said: Mapping[str, Any]) -> str:
    return f"{said.get('os', 'unknown')}/{said.get('architecture', 'unknown')}"
