"""Index: the manifests that a layout holds, and their tags.

Source: OCI image-spec v1.1.1, image-index.md and image-layout.md ("index.json file").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.manifest import canonical

REF_NAME = "org.opencontainers.image.ref.name"
_OURS = {"schemaVersion", "mediaType", "manifests"}


@dataclass(frozen=True, slots=True)
class Index:
    """An image index. A tag is the annotation ``org.opencontainers.image.ref.name`` of an entry."""

    manifests: tuple[Descriptor, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def tags(self) -> dict[str, Descriptor]:
        """Tag to what it names, sorted by tag."""
        named = {entry.annotations[REF_NAME]: entry for entry in self.manifests if REF_NAME in entry.annotations}
        return {tag: _untagged(named[tag]) for tag in sorted(named)}

    def find(self, digest: Digest) -> Descriptor | None:
        """The manifest with that digest, or None."""
        return next((_untagged(entry) for entry in self.manifests if entry.digest == digest), None)

    def with_tag(self, tag: str, descriptor: Descriptor) -> Self:
        """The index in which the tag names that manifest, and nothing else."""
        return replace(self, manifests=(*self._without(tag), descriptor.annotated({REF_NAME: tag})))

    def without_tag(self, tag: str) -> Self:
        """The index without that tag; its manifest is no longer reachable by it."""
        return replace(self, manifests=self._without(tag))

    @property
    def annotations(self) -> Mapping[str, str]:
        """What is said of the index itself."""
        return dict(self.extra.get("annotations") or {})

    def annotated(self, name: str, value: str | None) -> Self:
        """The index with that annotation, or without it for None."""
        others = {key: text for key, text in self.annotations.items() if key != name}
        kept = others if value is None else {**others, name: value}
        extra = {key: what for key, what in self.extra.items() if key != "annotations"}
        return replace(self, extra={**extra, "annotations": kept} if kept else extra)

    def to_bytes(self) -> bytes:
        """The canonical bytes of ``index.json``."""
        return canonical(
            {
                **self.extra,
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [entry.to_json() for entry in self.manifests],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of :meth:`to_bytes`. Raises KeyError, TypeError, ValueError or UserError when it is none."""
        document = json.loads(data)
        return cls(
            manifests=tuple(Descriptor.from_json(entry) for entry in document["manifests"]),
            extra={name: value for name, value in document.items() if name not in _OURS},
        )

    def _without(self, tag: str) -> tuple[Descriptor, ...]:
        return tuple(entry for entry in self.manifests if entry.annotations.get(REF_NAME) != tag)


def _untagged(entry: Descriptor) -> Descriptor:
    return replace(entry, annotations={name: value for name, value in entry.annotations.items() if name != REF_NAME})
