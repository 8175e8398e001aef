"""Verify: every byte of a version is read again, here or in a registry. Who signed it, who has a key judges."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from shipway.controllers.operations.cancelling import in_thread
from shipway.controllers.operations.contents import children
from shipway.controllers.operations.parts import Parts, missing
from shipway.controllers.operations.requests import RemoteVerifyRequest
from shipway.controllers.operations.scratch import scratch
from shipway.controllers.operations.signatures import bundles
from shipway.errors import Corrupt
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.digest import CHUNK
from shipway.oci.label import label
from shipway.oci.reference import Reference
from shipway.transfer import Progress, Report


async def verify(parts: Parts, name: str, ref: str, report: Report) -> Mapping[str, Any]:
    """Read every blob of a version from the disk; what is damaged is listed. Raises NotFound."""
    version, descriptor = await parts.version(name, ref)
    return await in_thread(partial(_read, parts.layout, descriptor, f"{name}:{version.number}"), report)


async def verify_remote(parts: Parts, asked: RemoteVerifyRequest, report: Report) -> Mapping[str, Any]:
    """Read everything under a reference from its registry, and keep nothing. Raises UserError, and what
    :class:`Registry` raises: RegistryBroken for the first blob that is not what its digest says."""
    reference = Reference.parse(asked.reference)
    with scratch(parts.layout.root) as folder:
        layout = Layout(folder / "oci", parts.layout.blobs.cipher)  # nothing lies there in plain either
        with layout.lease(f"verify {reference}") as lease:
            async with parts.registry(asked.plain_http) as registry:
                with missing(reference):
                    descriptor = await registry.pull(reference, layout, lease, report, referrers=True)
        return await in_thread(partial(_read, layout, descriptor, str(reference)), lambda _: None)


def _read(layout: Layout, root: Descriptor, what: str, report: Report) -> Mapping[str, Any]:
    damage: list[dict[str, str]] = []
    seen: dict[Digest, Descriptor] = {}
    for one in _under(root, layout, seen):
        try:
            _read_blob(layout, one, report)
        except Corrupt as error:
            damage.append({"digest": one.digest, "what": label(one), "problem": error.message})
    return {
        "what": what,
        "digest": root.digest,
        "blobs": len(seen),
        "bytes": sum(one.size for one in seen.values()),
        "damage": damage,
        "signatures": [base64.b64encode(one).decode() for one in bundles(layout, root.digest)],
    }


def _under(descriptor: Descriptor, layout: Layout, seen: dict[Digest, Descriptor]) -> Iterator[Descriptor]:
    """Each blob once; what a damaged manifest names nobody knows."""
    if descriptor.digest in seen:
        return
    seen[descriptor.digest] = descriptor
    yield descriptor
    try:
        below = children(layout, descriptor)
    except Corrupt:
        return  # told when it was read itself
    for one in below:
        yield from _under(one, layout, seen)


def _read_blob(layout: Layout, descriptor: Descriptor, report: Report) -> None:
    done = 0
    with layout.open_blob(descriptor) as blob:
        while block := blob.read(CHUNK):
            done += len(block)
            report(Progress(label(descriptor), done, descriptor.size))
