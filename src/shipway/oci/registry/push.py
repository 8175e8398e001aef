"""From a layout to a registry: blobs side by side, then manifests, each after what it refers to; the tag last."""

from __future__ import annotations

from shipway.oci import referrers as lists
from shipway.oci.descriptor import Descriptor
from shipway.oci.index import Index
from shipway.oci.label import label
from shipway.oci.manifest import INDEX_TYPES, Manifest
from shipway.oci.reference import Reference
from shipway.oci.registry import contents, manifests, referrers
from shipway.oci.registry.origins import origins
from shipway.oci.registry.outgoing import Outgoing
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.send import Sender
from shipway.oci.registry.threads import in_thread
from shipway.oci.registry.together import together
from shipway.oci.registry.walk import walk
from shipway.transfer import THERE, Progress


async def push(repository: Repository, layout: Outgoing, root: Descriptor, target: Reference, name: str) -> None:
    """Send a manifest with all that it needs; ``name``, a tag or its own digest, is written last of all."""

    async def read(descriptor: Descriptor) -> bytes:
        return await in_thread(layout.read_blob, descriptor)

    tree = await walk(root, read, repository.limits)
    known = await in_thread(origins, layout, target, tree.blobs.keys())
    sender = Sender(repository, layout, known)
    await together((sender.send(blob) for blob in tree.blobs.values()), repository.limits.blobs)
    for descriptor, data in tree.manifests.values():
        await _put(repository, name if descriptor.digest == root.digest else descriptor.digest, descriptor, data)


async def _put(repository: Repository, name: str, descriptor: Descriptor, data: bytes) -> None:
    subject = contents.of(data).subject
    what = label(descriptor) if name == descriptor.digest else f"tag {name}"
    there = await manifests.head(repository, name)
    if there is not None and there.digest == descriptor.digest:
        repository.report(Progress(what, len(data), len(data), THERE))
        listed = subject is None or await _is_listed(repository, subject, descriptor)
    else:
        answer = await manifests.put(repository, name, descriptor, data)
        repository.report(Progress(what, len(data), len(data)))
        listed = subject is None or "OCI-Subject" in answer.headers
    if not listed and subject is not None:
        artifact = (Index if descriptor.media_type in INDEX_TYPES else Manifest).from_bytes(data)
        await referrers.remember(repository, subject.digest, lists.entry(descriptor, artifact))


async def _is_listed(repository: Repository, subject: Descriptor, descriptor: Descriptor) -> bool:
    return any(one.digest == descriptor.digest for one in await referrers.listed(repository, subject.digest))
