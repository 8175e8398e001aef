"""ModelPack: files as an OCI artifact that any ModelPack tool can read. Pure.

Source: CNCF model-spec v1, docs/spec.md, docs/config.md, docs/annotations.md, schema/config-schema.json.
The config's schema allows no further properties, so lineage is an annotation of the manifest: it is there
before any blob is read, and every registry keeps it.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, Literal

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
TITLE = "org.opencontainers.image.title"  # under which name oras writes a layer; it passes over those without
LINEAGE = "dev.shipway.lineage+json"
CONTENT = "dev.shipway.content.digest"
SIGNATURE = "dev.shipway.signature+json"

Form = Literal["tar", "tar+zstd", "raw"]

_KINDS = {
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
_FILE, _FOLDER = ord("0"), ord("5")  # tar's typeflags, as specs-go FileMetadata has them


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that was written: its descriptor, and the digest of its bytes before they were compressed."""

    descriptor: Descriptor
    diff_id: Digest


def kind_of(name: str) -> str:
    """What a file is for, by its name: weight, weight.config, doc, code, dataset. What is not known is weights."""
    return _KINDS.get(PurePosixPath(name).suffix.lower(), "weight")


def media_type(kind: str, form: Form) -> str:
    """The type of a layer."""
    return f"application/vnd.cncf.model.{kind}.v1.{form}"


def of_file(name: str, size: int, *, executable: bool) -> dict[str, str]:
    """The annotations of a layer that holds one file. Owner and time are constant: equal files, equal layers."""
    return _annotations(name, size, 0o755 if executable else 0o644, _FILE)


def of_files(names: Sequence[str], size: int) -> dict[str, str]:
    """The annotations of a layer that several files share: their folder, and the bytes of all of them."""
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names])
    return _annotations(folder or ".", size, 0o755, _FOLDER)


def _annotations(name: str, size: int, mode: int, typeflag: int) -> dict[str, str]:
    metadata = {
        "name": name,
        "mode": mode,
        "uid": 0,
        "gid": 0,
        "size": size,
        "mtime": "1970-01-01T00:00:00Z",
        "typeflag": typeflag,
    }
    return {FILEPATH: name, METADATA: canonical(metadata).decode(), UNTESTED: "true"}


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What a layer's annotations say of its file, as far as it can be understood; other tools need not say anything."""

    executable: bool = False
    size: int | None = None  # bytes of the files in the layer
    is_folder: bool = False


def metadata_of(layer: Descriptor) -> FileMetadata:
    """The metadata of a layer's file."""
    try:
        found = json.loads(layer.annotations.get(METADATA, "{}"))
        mode, size, flag = found.get("mode", 0), found.get("size"), found.get("typeflag", _FILE)
    except (ValueError, AttributeError, RecursionError):
        return FileMetadata()
    return FileMetadata(
        executable=isinstance(mode, int) and bool(mode & 0o100),
        size=size if isinstance(size, int) and size >= 0 else None,
        is_folder=flag == _FOLDER,
    )


def file_of(layer: Descriptor) -> str | None:
    """The name of the one file that a layer holds, or None when it says none or holds several."""
    return None if metadata_of(layer).is_folder else layer.annotations.get(FILEPATH)


def files_size(layers: Iterable[Descriptor]) -> int:
    """Bytes of all files; of layers that do not say it, bytes of the layer."""
    said = ((metadata_of(one).size, one.size) for one in layers)
    return sum(stored if size is None else size for size, stored in said)


def content_digest(layers: Sequence[Layer]) -> Digest:
    """What names the files alone: equal names, bytes and modes have it in common, whoever made them and when, and
    compressed or not."""
    said = ((one.diff_id, one.descriptor.annotations) for one in layers)
    return Digest.of(canonical({"layers": [[diff_id, notes[FILEPATH], notes[METADATA]] for diff_id, notes in said]}))


def config(name: str, format: str, layers: Sequence[Layer], lineage: Lineage) -> bytes:
    """The config's JSON. It holds no version number: the number is the tag, content and lineage are the digest."""
    descriptor: dict[str, Any] = {"name": name}
    if lineage.created_at is not None:
        descriptor["createdAt"] = lineage.created_at.isoformat()
    return canonical(
        {
            "descriptor": descriptor,
            "config": {"format": format},
            "modelfs": {"type": "layers", "diffIds": [one.diff_id for one in layers]},
        }
    )


def manifest(
    config: Descriptor, layers: Sequence[Layer], lineage: Lineage, signature: ModelSignature | None = None
) -> Manifest:
    """The artifact."""
    signed = {} if signature is None else {SIGNATURE: canonical(signature.model_dump(mode="json")).decode()}
    return Manifest(
        config=config,
        layers=tuple(one.descriptor for one in layers),
        artifact_type=MANIFEST_TYPE,
        annotations={LINEAGE: canonical(lineage.to_json()).decode(), CONTENT: content_digest(layers), **signed},
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """What a version's manifest and config say."""

    format: str
    size: int  # bytes of all files
    content: str  # of one that another tool packed: ""
    created_at: datetime
    lineage: Lineage
    signature: ModelSignature | None = None


def is_ours(manifest: Manifest) -> bool:
    """Whether Shipway packed it, as it says."""
    return LINEAGE in manifest.annotations


def read(manifest: Manifest, config: bytes) -> Packed:
    """What :func:`config` and :func:`manifest` wrote. Raises KeyError, TypeError or ValueError for what is not ours."""
    lineage = Lineage.from_json(json.loads(manifest.annotations[LINEAGE]))
    document = json.loads(config)
    if lineage.created_at is None or lineage.created_at.tzinfo is None:
        raise ValueError("the lineage has no time, or one of no time zone")
    return Packed(
        format=str(document["config"]["format"]),
        size=files_size(manifest.layers),
        content=manifest.annotations[CONTENT],
        created_at=lineage.created_at,
        lineage=lineage,
        signature=signatures.parse(manifest.annotations.get(SIGNATURE, "")),
    )


def read_foreign(manifest: Manifest, config: bytes, format: str, *, otherwise: datetime) -> Packed:
    """What a model of another tool says of itself: whatever is missing or not understood is left out.

    ``format`` is what its files look like; what the config says counts where that is ``custom``. ``otherwise`` is the
    time of one that says none.
    """
    try:
        document = json.loads(config)
        said = document if isinstance(document, Mapping) else {}
    except (ValueError, RecursionError):
        said = {}
    created = _moment(_text(said, "descriptor", "createdAt"))
    return Packed(
        format=_text(said, "config", "format") or format if format == "custom" else format,
        size=files_size(manifest.layers),
        content="",
        created_at=created or otherwise,
        lineage=Lineage(origin="pulled", created_at=created or otherwise),
    )


def _text(document: Mapping[str, Any], *path: str) -> str:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
