"""What belongs to a manifest: every blob under it, and whether each is what its digest says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shipway.errors import Corrupt
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import CHUNK, Digest
from shipway.oci.label import label
from shipway.oci.layout import Layout
from shipway.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, Manifest
from shipway.transfer import Progress, Report


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what its digest says; ``what`` names it for people."""

    digest: Digest
    what: str
    problem: str

    def to_json(self) -> dict[str, str]:
        return {"digest": self.digest, "what": self.what, "problem": self.problem}


def children(layout: Layout, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    """What a manifest or an index names; nothing for other blobs. Raises Corrupt, Refused for one of over 4 MiB."""
    if descriptor.media_type not in INDEX_TYPES | MANIFEST_TYPES:
        return ()
    found = layout.read_artifact(descriptor)
    return (found.config, *found.layers) if isinstance(found, Manifest) else found.manifests


def manifests(layout: Layout, root: Descriptor) -> tuple[Descriptor, ...]:
    """A manifest, or an index and the manifests that it names. Raises Corrupt."""
    return (root, *children(layout, root)) if root.media_type in INDEX_TYPES else (root,)


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


def damage(layout: Layout, root: Descriptor, report: Report, seen: dict[Digest, Descriptor]) -> Iterator[Damage]:
    """Read every byte under ``root`` (but of what was ``seen``, to which it adds); what is not as its digest says.

    What a damaged manifest names nobody knows.
    """
    if root.digest in seen:
        return
    seen[root.digest] = root
    try:
        _read(layout, root, report)
        below = children(layout, root)
    except Corrupt as error:
        yield Damage(root.digest, label(root), error.message)
        return
    for one in below:
        yield from damage(layout, one, report, seen)


def _read(layout: Layout, descriptor: Descriptor, report: Report) -> None:
    done = 0
    with layout.open_blob(descriptor) as blob:
        while block := blob.read(CHUNK):
            done += len(block)
            report(Progress(label(descriptor), done, descriptor.size))
