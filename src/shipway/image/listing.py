"""What one layer's tar holds, in its order: read in one pass, and kept by the layer's digest.

Source: OCI image-spec v1.1.1, layer.md ("Layer Media Types", "Changeset").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from shipway.errors import Refused
from shipway.oci import Descriptor, Layout, disk
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Content, Limits, Member, Readable, members
from shipway.oci.unpack import checked_name, decompressed

# A file system of many wheels has more files than a model; and all that is told of them is held in memory.
LIMITS = Limits(members=500_000, expanded=1 << 38)

_VERSION = 1
_LONGEST_TARGET = 4_096  # what Linux takes
_LAYER_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.",
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One member; ``kind`` as :class:`shipway.oci.tar.Member` has it, ``digest`` that of a file's content."""

    name: str
    kind: str
    size: int
    executable: bool
    target: str
    digest: str = ""


def of_layer(layout: Layout, layer: Descriptor, cache: Path | None, limits: Limits = LIMITS) -> tuple[Listed, ...]:
    """The members of a layer. Raises Refused for what is no layer, for names that lead out and for whatever is over a
    limit; Corrupt when the blob is damaged or no whole tar."""
    kept = None if cache is None else cache / f"{layer.digest.hex}.json"
    if kept is not None and (found := _kept(kept)) is not None:
        return found
    with layout.open_blob(layer) as blob:
        found = tuple(_listed(member, content) for member, content in read(blob, layer, limits))
    if kept is not None:
        _keep(kept, found)
    return found


def read(source: Readable, layer: Descriptor, limits: Limits = LIMITS) -> Iterator[tuple[Member, Content]]:
    """The members of a layer's blob with their contents; names are normalised, and stay inside."""
    expanded = 0
    for member, content in members(decompressed(source, _tar_type(layer), limits), limits):
        expanded += member.size
        if expanded > limits.expanded:
            raise Refused(f"layer {layer.digest} expands to more than {limits.expanded} bytes", next_step=_DISTRUST)
        if len(member.target) > _LONGEST_TARGET:
            raise Refused(f"layer {layer.digest} has a link of more than {_LONGEST_TARGET} characters: {member.name!r}")
        name = checked_name(member.name.lstrip("/"))
        yield Member(name, member.kind, member.size, member.executable, member.target), content


_DISTRUST = "Do not trust its source."


def _tar_type(layer: Descriptor) -> str:
    """The media type as ``unpack.decompressed`` reads it. Docker's types end as OCI's do."""
    kind = layer.media_type
    if not kind.startswith(_LAYER_TYPES) or not kind.endswith((".tar", "+gzip", "+zstd", ".gzip", ".zstd")):
        raise Refused(
            f"layer {layer.digest} is {kind!r}, which is not read here",
            next_step="Allowed are tar, gzip and zstd layers of OCI and Docker, none of them encrypted.",
        )
    return kind


def _listed(member: Member, content: Content) -> Listed:
    digest = ""
    if member.kind == "file":
        hasher = hashlib.sha256()
        while data := content.read(CHUNK):
            hasher.update(data)
        digest = f"sha256:{hasher.hexdigest()}"
    return Listed(member.name, member.kind, member.size, member.executable, member.target, digest)


def _kept(path: Path) -> tuple[Listed, ...] | None:
    try:
        version, rows = json.loads(path.read_bytes())
        return tuple(Listed(*row) for row in rows) if version == _VERSION else None
    except (OSError, ValueError, TypeError):
        return None  # not there, or the rest of a full disk: it is read again


def _keep(path: Path, listed: tuple[Listed, ...]) -> None:
    keep(path, json.dumps([_VERSION, [astuple(one) for one in listed]], ensure_ascii=False, separators=(",", ":")))


def keep(path: Path, text: str) -> None:
    """Write a file of a cache, its owner's only, in one step; a disk that is full costs only the next look."""
    with suppress(OSError):
        disk.keep(path, text.encode())
