"""What people call a blob in a line of progress. Pure."""

from __future__ import annotations

from shipway.oci.descriptor import Descriptor
from shipway.oci.manifest import INDEX_TYPES, MANIFEST_TYPES

_NAMES = ("org.cncf.model.filepath", "org.opencontainers.image.title")
_WORDS = {
    ".config.": "config",
    "container.image.v1+json": "config",  # Docker's
    "oci.empty.v1+json": "config",  # that of an artifact without one
    "sigstore.bundle.": "signature",
}


def label(descriptor: Descriptor) -> str:
    """The path or title that its annotations give it; else what it is and how its digest begins."""
    named = next(filter(None, map(descriptor.annotations.get, _NAMES)), None)
    return named or f"{_word(descriptor.media_type)} {descriptor.digest.hex[:12]}"


def _word(media_type: str) -> str:
    if media_type in INDEX_TYPES:
        return "index"
    if media_type in MANIFEST_TYPES:
        return "manifest"
    return next((word for part, word in _WORDS.items() if part in media_type), "blob")
