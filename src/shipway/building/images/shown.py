"""One image in all that is known of it: what it runs, its layers with what is in each, and what lies beside it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.building.images.opened import Image
from shipway.building.images.packages import Installed, installed
from shipway.building.images.parts import Part
from shipway.image.papers import referrers, sbom, system
from shipway.oci import Descriptor, Layout
from shipway.oci.document import NOT_READABLE
from shipway.signing import BUNDLE_TYPE

_TEXTS = {"user": "User", "workdir": "WorkingDir", "stopSignal": "StopSignal"}
_LISTS = {"entrypoint": "Entrypoint", "command": "Cmd", "env": "Env"}
_KEYS = {"ports": "ExposedPorts", "volumes": "Volumes"}


def shown(image: Image) -> Mapping[str, Any]:
    """The image with each of its platforms. Raises Corrupt, Refused for layers that no honest tool makes."""
    parts = image.parts
    return {
        "name": image.name,
        "digest": image.descriptor.digest,
        "mediaType": image.descriptor.media_type,
        "size": sum({one.digest: one.size for part in parts for one in part.blobs}.values()),
        "signatures": len(image.layout.referrers(image.descriptor.digest, BUNDLE_TYPE)),
        "referrers": _beside(image.layout, image.descriptor),
        "platforms": [_part(image, one) for one in parts],
    }


def _part(image: Image, part: Part) -> Mapping[str, Any]:
    base, digest = part.base
    layers, distribution = _layers(image, part)
    return {
        "platform": part.platform,
        "digest": part.descriptor.digest,
        "size": part.size,
        "base": {"name": base, "digest": digest} if digest else None,
        "system": distribution,
        "config": runs(part),
        "layers": layers,
        "referrers": _beside(image.layout, part.descriptor),
    }


def runs(part: Part) -> dict[str, Any]:
    """What a container of it does, in our words; what it does not say, or not as OCI's config has it, is left out."""
    labels = part.runs.get("Labels")
    said = {
        **{ours: _texts(part.runs.get(theirs)) for ours, theirs in _LISTS.items()},
        **{ours: "".join(_texts([part.runs.get(theirs)])) for ours, theirs in _TEXTS.items()},
        **{ours: sorted(_texts(_keys(part.runs.get(theirs)))) for ours, theirs in _KEYS.items()},
        "labels": {name: str(value) for name, value in labels.items()} if isinstance(labels, Mapping) else {},
    }
    return {name: value for name, value in said.items() if value}


def _keys(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Mapping) else []


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _layers(image: Image, part: Part) -> tuple[list[dict[str, Any]], str]:
    """The layers, the lowest first, and which distribution the base is, with its number of packages."""
    if image.whole:
        view = image.view(part)
        files = Counter(one.layer for one in view.walk() if one.kind != "folder")
        packages = _by_layer(installed(view))
        found = system.read(view)
        said = f"{found.distribution} {found.release}".strip()
        distribution = f"{said}, {len(found.packages)} packages" if found.packages else said
    else:
        files, packages, distribution = Counter[int](), _billed(image.layout, part), ""
    return [
        {
            "digest": layer.digest,
            "mediaType": layer.media_type,
            "size": layer.size,
            "createdBy": command,
            "files": files[number] if image.whole else None,
            "packages": packages[number],
        }
        for number, (layer, command) in enumerate(zip(part.manifest.layers, part.commands, strict=True))
    ], distribution


def _by_layer(found: Sequence[Installed]) -> Mapping[int, list[str]]:
    packages: defaultdict[int, list[str]] = defaultdict(list)
    for one in found:
        packages[one.layer].append(f"{one.name} {one.version}")
    return packages


def _billed(layout: Layout, part: Part) -> Mapping[int, list[str]]:
    """As the bill of materials says it, where the layers are not here. It is somebody's word."""
    packages: defaultdict[int, list[str]] = defaultdict(list)
    numbers = {str(one.digest): number for number, one in enumerate(part.manifest.layers)}
    data = referrers.find(layout, part.descriptor, sbom.MEDIA_TYPE)
    try:
        for one in json.loads(data or b"{}").get("components", ()):
            said = {each["name"]: each["value"] for each in one.get("properties", ())}
            if (number := numbers.get(said.get(sbom.LAYER, ""))) is not None:
                packages[number].append(f"{one['name']} {one['version']}")
    except NOT_READABLE:
        return defaultdict(list)
    return packages


def _beside(layout: Layout, subject: Descriptor) -> list[dict[str, Any]]:
    found = layout.referrers(subject.digest)
    return [{"type": one.artifact_type or one.media_type, "digest": one.digest, "size": one.size} for one in found]
