"""What a manifest refers to, whatever tool wrote it. Pure.

Sources: OCI image-spec v1.1.1, manifest.md and image-index.md; Docker's image manifest v2, schema 2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from shipway.oci import document as documents
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.manifest import (
    DOCKER_INDEX_TYPE,
    DOCKER_MANIFEST_TYPE,
    INDEX_TYPE,
    INDEX_TYPES,
    MANIFEST_TYPE,
    MANIFEST_TYPES,
)

ACCEPT = ", ".join((INDEX_TYPE, DOCKER_INDEX_TYPE, MANIFEST_TYPE, DOCKER_MANIFEST_TYPE))


@dataclass(frozen=True, slots=True)
class Contents:
    """The manifests and the blobs that a manifest needs, in its order, and what it is about."""

    manifests: tuple[Descriptor, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None


def media_type(data: bytes, told: str) -> str:
    """The type of a manifest: what it says itself, else what ``told`` (Content-Type) says. Raises ValueError.

    Two readers that take one document for two things can be shown two contents under one digest (CVE-2021-41190).
    """
    document = documents.read(data)
    announced = told.partition(";")[0].strip().lower()
    own = document.get("mediaType") or announced
    if not isinstance(own, str):
        raise ValueError("its mediaType is no text")
    known = INDEX_TYPES | MANIFEST_TYPES
    if own != announced and own in known and announced in known:
        raise ValueError(f"it says that it is {own}, and the registry that it is {announced}")
    if "manifests" in document and ("layers" in document or "config" in document):
        raise ValueError("it is an index and a manifest at once")
    if (own in INDEX_TYPES and "layers" in document) or (own in MANIFEST_TYPES and "manifests" in document):
        raise ValueError(f"it says that it is {own}, and is not")
    return own


def of(data: bytes) -> Contents:
    """What these bytes refer to. Raises ValueError when they are no manifest."""
    try:
        document = documents.read(data)
        subject = document.get("subject")
        return Contents(
            manifests=tuple(Descriptor.from_json(one) for one in document.get("manifests") or ()),
            blobs=tuple(
                Descriptor.from_json(one)
                for one in (
                    *([document["config"]] if document.get("config") else ()),
                    *(document.get("layers") or ()),
                    *(document.get("blobs") or ()),  # the artifact manifest of release candidates of 1.1
                )
            ),
            subject=Descriptor.from_json(subject) if subject else None,
        )
    except documents.NOT_READABLE as error:
        raise ValueError(f"it is no manifest ({type(error).__name__}: {error})") from None


def embedded(descriptor: Descriptor) -> bytes | None:
    """The content that the descriptor carries itself (``data``), when it is what its digest and size say."""
    data = descriptor.extra.get("data")
    if not isinstance(data, str):
        return None
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if (Digest.of(content), len(content)) == (descriptor.digest, descriptor.size) else None
