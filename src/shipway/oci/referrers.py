"""Referrers: what says something of another artifact (a signature, an SBOM), found by that artifact's digest. Pure.

A layout has no API to ask, so it keeps what the distribution specification keeps where a registry has none: an index
of the referrers under the tag ``sha256-<hex>`` of the subject. Sources: OCI distribution-spec v1.1.1, "Referrers Tag
Schema" and "Pushing Manifests with Subject"; image-spec v1.1.1, manifest.md ("subject").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.index import Index
from shipway.oci.manifest import INDEX_TYPE, Manifest

_TAG = re.compile(r"sha256-([0-9a-f]{64})")


def tag_of(subject: Digest) -> str:
    """The tag under which the referrers of that digest are listed."""
    return f"sha256-{subject.hex}"


def listed(index: Index) -> Iterator[tuple[str, Digest, Descriptor]]:
    """Of each such list in ``index.json``: its tag, the subject, the list. An image that was tagged so is none."""
    for tag, descriptor in index.tags.items():
        if descriptor.media_type == INDEX_TYPE and (match := _TAG.fullmatch(tag)):
            yield tag, Digest(f"sha256:{match[1]}"), descriptor


def entry(descriptor: Descriptor, artifact: Manifest | Index) -> Descriptor:
    """How a referrer stands in the list: with its type, which for an image is that of its config, and annotations."""
    kind = artifact.artifact_type or (artifact.config.media_type if isinstance(artifact, Manifest) else None)
    annotations: Mapping[str, str] = artifact.annotations
    return replace(descriptor, artifact_type=kind, annotations=dict(annotations))


def added(referrers: Index, one: Descriptor) -> Index:
    """The list with that referrer, once."""
    others = tuple(each for each in referrers.manifests if each.digest != one.digest)
    return replace(referrers, manifests=(*others, one))


def removed(referrers: Index, digest: Digest) -> Index:
    """The list without that referrer."""
    return replace(referrers, manifests=tuple(each for each in referrers.manifests if each.digest != digest))
