"""Descriptor: where content is referred to, its type, digest and size stand together.

Source: OCI image-spec v1.1.1, descriptor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shipway.oci import document as documents
from shipway.oci.digest import Digest

_OURS = {"mediaType", "digest", "size", "artifactType", "annotations"}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content. ``extra`` keeps the fields that we do not interpret (urls, data, platform)."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def annotated(self, annotations: Mapping[str, str]) -> Self:
        """The same reference with further annotations."""
        return replace(self, annotations={**self.annotations, **annotations})

    def bare(self) -> Self:
        """The same reference alone: type, digest and size."""
        return replace(self, annotations={}, artifact_type=None, extra={})

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data; empty optional fields are left out."""
        optional = {"artifactType": self.artifact_type, "annotations": dict(self.annotations)}
        return {
            **self.extra,
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
            **{name: value for name, value in optional.items() if value},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Raises KeyError, TypeError, ValueError or UserError when it is none."""
        if not isinstance(document, Mapping):
            raise ValueError("it is not a JSON object")
        size = document["size"]
        if type(size) is not int or not 0 <= size < 1 << 63:  # not True either
            raise ValueError(f"size is {size!r}, not a number of bytes")
        return cls(
            media_type=documents.text(document, "mediaType"),
            digest=Digest(documents.text(document, "digest")),
            size=size,
            annotations=documents.texts(document, "annotations"),
            artifact_type=documents.optional_text(document, "artifactType"),
            extra={name: value for name, value in document.items() if name not in _OURS},
        )
