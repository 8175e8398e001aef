"""Verify: every byte of a version is read again, here or in a registry. Who signed it, who has a key judges."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any

from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.requests import RemoteVerifyRequest
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.cancelling import in_thread
from shipway.oci.reference import Reference
from shipway.oci.registry.missing import missing
from shipway.oci.scratch import scratch
from shipway.oci.signatures import bundles
from shipway.oci.tree import damage
from shipway.transfer import Report


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
    seen: dict[Digest, Descriptor] = {}
    found = [one.to_json() for one in damage(layout, root, report, seen)]
    return {
        "what": what,
        "digest": root.digest,
        "blobs": len(seen),
        "bytes": sum(one.size for one in seen.values()),
        "damage": found,
        "signatures": [base64.b64encode(one).decode() for one in bundles(layout, root.digest)],
    }
