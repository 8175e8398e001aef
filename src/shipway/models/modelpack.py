"""ModelPack: a folder's files as an OCI artifact that any ModelPack tool can read. Pure.

Source: CNCF model-spec v1, docs/spec.md, docs/config.md, docs/annotations.md, schema/config-schema.json.
One ``.raw`` layer a file: weights are stored as they are, and an unchanged file is one blob for all versions.
The config's schema allows no further properties, so lineage is an annotation of the manifest: it is there
before any blob is read, and every registry keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from shipway.kinds import ModelSignature
from shipway.models import signatures
from shipway.models.lineage import Lineage
from shipway.oci import Descriptor, Digest, Manifest
from shipway.oci.manifest import canonical

MANIFEST_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
FILEPATH = "org.cncf.model.filepath"
METADATA = "org.cncf.model.file.metadata+json"
UNTESTED = "org.cncf.model.file.mediatype.untested"
LINEAGE = "dev.shipway.lineage+json"
CONTENT = "dev.shipway.content.digest"
SIGNATURE = "dev.shipway.signature+json"

_SUFFIXES = {
    ".json": "weight.config",
    ".yaml": "weight.config",
    ".yml": "weight.config",
    ".toml": "weight.config",
    ".txt": "weight.config",
    ".md": "doc",
    ".rst": "doc",
    ".html": "doc",
    ".pdf": "doc",
    ".py": "code",
    ".ipynb": "code",
    ".sh": "code",
    ".csv": "dataset",
    ".parquet": "dataset",
    ".arrow": "dataset",
}
_REGULAR_FILE = ord("0")  # tar's typeflag, as specs-go FileMetadata has it


def media_type(name: str) -> str:
    """The layer type of a file, by its name; what is not known is weights."""
    part = _SUFFIXES.get(PurePosixPath(name).suffix.lower(), "weight")
    return f"application/vnd.cncf.model.{part}.v1.raw"


def layer(blob: Descriptor, name: str, *, executable: bool) -> Descriptor:
    """The blob of one file with its name and metadata. Owner and time are constant: equal files, equal layers."""
    metadata = {
        "name": name,
        "mode": 0o755 if executable else 0o644,
        "uid": 0,
        "gid": 0,
        "size": blob.size,
        "mtime": "1970-01-01T00:00:00Z",
        "typeflag": _REGULAR_FILE,
    }
    return blob.annotated({FILEPATH: name, METADATA: canonical(metadata).decode(), UNTESTED: "true"})


def is_executable(layer: Descriptor) -> bool:
    """Whether the file of a layer may be run. Raises ValueError when its metadata is not JSON."""
    metadata = json.loads(layer.annotations.get(METADATA, "{}"))
    return bool(metadata.get("mode", 0) & 0o100)


def content_digest(layers: Sequence[Descriptor]) -> Digest:
    """What names the files alone: equal names, bytes and modes have it in common, whoever made them and when."""
    return Digest.of(canonical({"layers": [one.to_json() for one in layers]}))


def config(name: str, format: str, layers: Sequence[Descriptor], lineage: Lineage) -> bytes:
    """The config's JSON. It holds no version number: the number is the tag, content and lineage are the digest."""
    descriptor: dict[str, Any] = {"name": name}
    if lineage.created_at is not None:
        descriptor["createdAt"] = lineage.created_at.isoformat()
    return canonical(
        {
            "descriptor": descriptor,
            "config": {"format": format},
            "modelfs": {"type": "layers", "diffIds": [one.digest for one in layers]},
        }
    )


def manifest(
    config: Descriptor, layers: Sequence[Descriptor], lineage: Lineage, signature: ModelSignature | None = None
) -> Manifest:
    """The artifact."""
    signed = {} if signature is None else {SIGNATURE: canonical(signature.model_dump(mode="json")).decode()}
    return Manifest(
        config=config,
        layers=tuple(layers),
        artifact_type=MANIFEST_TYPE,
        annotations={LINEAGE: canonical(lineage.to_json()).decode(), CONTENT: content_digest(layers), **signed},
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """What a version's manifest and config say."""

    format: str
    size: int  # bytes of all layers
    content: str
    created_at: datetime
    lineage: Lineage
    signature: ModelSignature | None = None


def read(manifest: Manifest, config: bytes) -> Packed:
    """The inverse of the above. Raises KeyError, TypeError or ValueError for what is not ours."""
    lineage = Lineage.from_json(json.loads(manifest.annotations[LINEAGE]))
    document = json.loads(config)
    if lineage.created_at is None:
        raise ValueError("the lineage has no time")
    return Packed(
        format=str(document["config"]["format"]),
        size=sum(one.size for one in manifest.layers),
        content=manifest.annotations[CONTENT],
        created_at=lineage.created_at,
        lineage=lineage,
        signature=signatures.parse(manifest.annotations.get(SIGNATURE, "")),
    )
