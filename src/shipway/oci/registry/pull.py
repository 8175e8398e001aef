"""From a registry into a layout: manifests first, to know what is needed; then all blobs side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from shipway.errors import Corrupt
from shipway.oci.descriptor import Descriptor
from shipway.oci.layout import Layout
from shipway.oci.leases import Lease
from shipway.oci.registry import errors, manifests
from shipway.oci.registry.fetch import Fetcher
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.threads import in_thread
from shipway.oci.registry.together import together
from shipway.oci.registry.walk import walk

Wanted: TypeAlias = Callable[[Descriptor], bool]


def everything(_: Descriptor) -> bool:
    """Wants every blob."""
    return True


async def pull(
    repository: Repository, name: str, layout: Layout, lease: Lease, wanted: Wanted = everything
) -> Descriptor:
    """Bring the manifest of that tag or digest with all that it needs: all manifests, and the blobs ``wanted``."""
    root, data = await manifests.get(repository, name)

    async def read(descriptor: Descriptor) -> bytes:
        await in_thread(lease.hold, descriptor.digest)
        found = await in_thread(_there, layout, descriptor)
        if found is None:
            found = data if descriptor == root else await _fetched(repository, descriptor)
            await in_thread(layout.put_manifest_bytes, found, descriptor.media_type, lease=lease)
        return found

    tree = await walk(root, read, repository.limits)
    fetcher = Fetcher(repository, layout, lease)
    await together((fetcher.fetch(blob) for blob in filter(wanted, tree.blobs.values())), repository.limits.blobs)
    return root


def _there(layout: Layout, descriptor: Descriptor) -> bytes | None:
    try:
        return layout.read_blob(descriptor) if layout.has_blob(descriptor) else None
    except Corrupt:  # fetched again: that mends it
        return None


async def _fetched(repository: Repository, descriptor: Descriptor) -> bytes:
    found, data = await manifests.get(repository, descriptor.digest)
    if found.size != descriptor.size:
        url = repository.manifest(descriptor.digest)
        raise errors.broken("GET", url, f"it has {found.size} bytes; announced were {descriptor.size}")
    return data
