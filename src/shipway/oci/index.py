"""Index: manifests under one digest, and the tags that a layout gives them.

Sources: OCI image-spec v1.1.1, image-index.md and image-layout.md ("index.json file"); Docker's manifest list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shipway.oci import document as documents
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.manifest import INDEX_TYPE, canonical

REF_NAME = "org.opencontainers.image.ref.name"
_OURS = {"schemaVersion", "mediaType", "manifests", "artifactType", "subject", "annotations"}


@dataclass(frozen=True, slots=True)
class Index:
    """An image index. In ``index.json`` a tag is the annotation ``org.opencontainers.image.ref.name`` of an entry.

    Another tool's index keeps its digest only in its own bytes: it is written again as OCI's, and without spaces.
    """

    manifests: tuple[Descriptor, ...] = ()
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    subject: Descriptor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)  # fields that we do not interpret
    # Asked again and again of an index of thousands of tags, so made once.
    _tags: dict[str, Descriptor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def tags(self) -> Mapping[str, Descriptor]:
        """Tag to what it names, sorted by tag; the descriptors have the entry's annotations, but for the tag."""
        if not self._tags:
            named = {entry.annotations[REF_NAME]: entry for entry in self.manifests if REF_NAME in entry.annotations}
            whole = {tag: _untagged(named[tag]) for tag in sorted(named)}
            self._tags.update(whole)  # at once: another thread must not see the half, and number a version twice
        return self._tags

    def find(self, digest: Digest) -> Descriptor | None:
        """The manifest with that digest, or None."""
        return next((_untagged(entry) for entry in self.manifests if entry.digest == digest), None)

    def with_tag(self, tag: str, descriptor: Descriptor) -> Self:
        """The index in which the tag names that manifest, and nothing else; the descriptor's annotations stay."""
        entry = descriptor.annotated({REF_NAME: tag})
        changed = replace(self, manifests=(*self._without(tag), entry))
        if self._tags:  # of ten thousand one is another
            changed._tags.update(sorted({**self._tags, tag: _untagged(entry)}.items()))
        return changed

    def without_tag(self, tag: str) -> Self:
        """The index without that tag; its manifest is no longer reachable by it."""
        return replace(self, manifests=self._without(tag))

    def without_tags(self, tags: Collection[str]) -> Self:
        """The index without any of these tags."""
        return replace(
            self, manifests=tuple(entry for entry in self.manifests if entry.annotations.get(REF_NAME) not in tags)
        )

    def with_tag_annotated(self, tag: str, name: str, value: str | None) -> Self:
        """The index in which the entry of a tag has that annotation, or has it no longer for None.

        The manifest and its digest stay as they are. Without such a tag nothing changes.
        """
        return replace(
            self,
            manifests=tuple(
                _with(entry, name, value) if entry.annotations.get(REF_NAME) == tag else entry
                for entry in self.manifests
            ),
        )

    def annotated(self, name: str, value: str | None) -> Self:
        """The index with that annotation, or without it for None."""
        changed = replace(self, annotations=_changed(self.annotations, name, value))
        changed._tags.update(self._tags)
        return changed

    def to_bytes(self) -> bytes:
        """The canonical bytes: equal indexes have equal digests."""
        optional = {
            "artifactType": self.artifact_type,
            "annotations": dict(self.annotations),
            "subject": self.subject.to_json() if self.subject else None,
        }
        return canonical(
            {
                **self.extra,
                "schemaVersion": 2,
                "mediaType": INDEX_TYPE,
                "manifests": [entry.to_json() for entry in self.manifests],
                **{name: value for name, value in optional.items() if value},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an index, ours or another tool's. Raises KeyError, TypeError, ValueError, UserError when it is none."""
        document = documents.read(data)
        subject = document.get("subject")
        return cls(
            manifests=tuple(Descriptor.from_json(entry) for entry in document["manifests"]),
            artifact_type=documents.optional_text(document, "artifactType"),
            annotations=documents.texts(document, "annotations"),
            subject=Descriptor.from_json(subject) if subject else None,
            extra={name: value for name, value in document.items() if name not in _OURS},
        )

    def _without(self, tag: str) -> tuple[Descriptor, ...]:
        return tuple(entry for entry in self.manifests if entry.annotations.get(REF_NAME) != tag)


def _changed(annotations: Mapping[str, str], name: str, value: str | None) -> Mapping[str, str]:
    others = {key: text for key, text in annotations.items() if key != name}
    return others if value is None else {**others, name: value}


def _with(entry: Descriptor, name: str, value: str | None) -> Descriptor:
    return replace(entry, annotations=_changed(entry.annotations, name, value))


def _untagged(entry: Descriptor) -> Descriptor:
    others = {name: value for name, value in entry.annotations.items() if name != REF_NAME}
    # Not by dataclasses.replace, which takes six times as long: an index has thousands of entries.
    return Descriptor(entry.media_type, entry.digest, entry.size, others, entry.artifact_type, entry.extra)
