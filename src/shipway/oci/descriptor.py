"""Descriptor: where content is referred to, its type, digest and size stand together.

Source: OCI image-spec v1.1.1, descriptor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

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
        size = document["size"]
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"size is {size!r}, not a number of bytes")
        return cls(
            media_type=str(document["mediaType"]),
            digest=Digest(document["digest"]),
            size=size,
            annotations=dict(document.get("annotations") or {}),
            artifact_type=document.get("artifactType"),
            extra={name: value for name, value in document.items() if name not in _OURS},
        )
