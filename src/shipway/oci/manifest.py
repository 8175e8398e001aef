"""Manifest: a config and layers under one digest.

Sources: OCI image-spec v1.1.1, manifest.md ("Guidelines for Artifact Usage" for ``artifactType``); distribution-spec
v1.1.1, "Pushing Manifests" (registries should take at least 4 megabytes); Docker's image manifest v2, schema 2, which
has the same fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from shipway.oci import document as documents
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST_TYPE})
INDEX_TYPES = frozenset({INDEX_TYPE, DOCKER_INDEX_TYPE})
LARGEST_MANIFEST = 4 << 20  # bytes: nothing larger is read as a manifest or an index, whoever names it
EMPTY_CONFIG_BYTES = b"{}"
EMPTY_CONFIG = Descriptor(
    media_type="application/vnd.oci.empty.v1+json",
    digest=Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    size=2,
    extra={"data": "e30="},
)


def canonical(document: Mapping[str, Any]) -> bytes:
    """One byte string per JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def artifact_type(data: bytes) -> str | None:
    """What a manifest or an index says that it is, or None. Raises ValueError when the bytes are no JSON object."""
    said = documents.read(data).get("artifactType")
    return said if isinstance(said, str) else None


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest; as an artifact when ``artifact_type`` is set."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    subject: Descriptor | None = None

    def to_bytes(self) -> bytes:
        """The canonical bytes: equal manifests have equal digests."""
        optional = {
            "artifactType": self.artifact_type,
            "annotations": dict(self.annotations),
            "subject": self.subject.to_json() if self.subject else None,
        }
        return canonical(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": self.config.to_json(),
                "layers": [layer.to_json() for layer in self.layers],
                **{name: value for name, value in optional.items() if value},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a manifest, ours or another tool's. Raises KeyError, TypeError, ValueError or UserError when it is none.

        A manifest of another tool keeps its digest only in its own bytes: fields unknown here are dropped.
        """
        document = documents.read(data)
        subject = document.get("subject")
        return cls(
            config=Descriptor.from_json(document["config"]),
            layers=tuple(Descriptor.from_json(layer) for layer in document["layers"]),
            artifact_type=documents.optional_text(document, "artifactType"),
            annotations=documents.texts(document, "annotations"),
            subject=Descriptor.from_json(subject) if subject else None,
        )
