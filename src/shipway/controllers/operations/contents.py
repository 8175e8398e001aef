"""What belongs to a manifest: every blob under it, in the order in which they may be written elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from shipway.oci import Descriptor, Digest, Layout, Manifest
from shipway.oci.manifest import INDEX_TYPES, MANIFEST_TYPES


def children(layout: Layout, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """What a manifest or an index names; nothing for other blobs. Raises Corrupt, Refused for one of over 4 MiB."""
    if descriptor.media_type not in INDEX_TYPES | MANIFEST_TYPES:
        return ()
    found = layout.read_artifact(descriptor)
    return (found.config, *found.layers) if isinstance(found, Manifest) else found.manifests


def blobs(layout: Layout, root: Descriptor, seen: set[Digest] | None = None) -> Iterator[Descriptor]:
    """Each blob under ``root`` once (but those ``seen``) and ``root`` itself last: what is named comes before what
    names it. Raises what :func:`children` raises."""
    seen = set() if seen is None else seen
    if root.digest in seen:
        return
    seen.add(root.digest)
    for one in children(layout, root):
        yield from blobs(layout, one, seen)
    yield root
