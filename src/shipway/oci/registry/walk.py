"""All manifests below one, and the blobs that they need, each once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shipway.errors import RegistryBroken
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.registry import contents
from shipway.oci.registry.limits import Limits

_MOST = 8  # times the largest manifest: all of them are in memory

Read = Callable[[Descriptor], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Tree:
    """``manifests`` with their bytes, what is referred to before what refers to it; ``blobs`` in the order met."""

    manifests: dict[Digest, tuple[Descriptor, bytes]] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)


async def walk(root: Descriptor, read: Read, limits: Limits) -> Tree:
    """Read a manifest and all below it. Raises RegistryBroken for what is none, too deep or too much."""
    tree = Tree()
    await _visit(root, read, limits, tree, limits.depth)
    return tree


async def _visit(descriptor: Descriptor, read: Read, limits: Limits, tree: Tree, depth: int) -> None:
    if descriptor.digest in tree.manifests:
        return
    if depth <= 0 or len(tree.manifests) >= limits.manifests:
        raise _refused(descriptor, f"more than {limits.depth} levels of indexes, or {limits.manifests} manifests")
    together = descriptor.size + sum(len(data) for _, data in tree.manifests.values())
    if descriptor.size > limits.manifest or together > _MOST * limits.manifest:
        most = f"allowed are {limits.manifest}, and {_MOST} times that for all manifests together"
        raise _refused(descriptor, f"{descriptor.size} bytes; {most}")
    data = await read(descriptor)
    try:
        found = contents.of(data)
    except ValueError as error:
        raise _refused(descriptor, str(error)) from None
    for one in found.manifests:
        await _visit(one, read, limits, tree, depth - 1)
    for blob in found.blobs:
        if blob.size > limits.blob:
            raise _refused(descriptor, f"{blob.digest} is said to have {blob.size} bytes; allowed are {limits.blob}")
        known = tree.blobs.setdefault(blob.digest, blob)
        if known.size != blob.size:
            raise _refused(descriptor, f"{blob.digest} is said to have {known.size} bytes, and {blob.size}")
    tree.manifests[descriptor.digest] = descriptor, data


def _refused(descriptor: Descriptor, why: str) -> RegistryBroken:
    return RegistryBroken(f"manifest {descriptor.digest}: {why}", next_step="Nothing of it is used. Ask who made it.")
