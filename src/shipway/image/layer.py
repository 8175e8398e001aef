"""The values that a layer is made of, and what it is when it is made. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shipway.oci import Descriptor, Digest

Compression = Literal["zstd", "gzip"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer's tar; ``name`` is absolute in the image, without the leading slash.

    Owner, time and mode are the same on every machine: root, 1970, 0644 or 0755. ``target`` is that of a link.
    A Dockerfile's ``--chown`` and ``--chmod`` name another ``owner`` (uid, gid) and ``mode`` (0o7777 at most).
    """

    name: str
    kind: Literal["file", "folder", "link"] = "file"
    content: Path | bytes = b""
    executable: bool = False
    target: str = ""
    owner: tuple[int, int] = (0, 0)
    mode: int | None = None  # None: 0755 for folders and what is executable, else 0644


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What a wheel says of itself: for the SBOM, and for ``image show``."""

    name: str
    version: str
    wheel: str  # the file's name: the wheel's, or that of the source from which it was built
    sha256: str  # of that file
    licence: str = ""  # an SPDX expression, or what its author wrote
    size: int = 0  # bytes, unpacked
    requires: tuple[str, ...] = ()  # its Requires-Dist lines, for the SBOM's graph


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that lies in the layout: its blob, the digest of its tar, and one line on what is in it."""

    descriptor: Descriptor
    diff_id: Digest
    created_by: str
    packages: tuple[PackageFacts, ...] = ()
