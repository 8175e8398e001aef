"""Signatures beside a version: bundles that were made elsewhere, kept and given out. Who has a key judges them.

They are referrers of the version, as ``cosign sign`` makes them (sigstore/cosign, specs/BUNDLE_SPEC.md), so they go
where it is pushed and come with it when it is pulled.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shipway.controllers.operations.parts import Parts
from shipway.errors import Corrupt, Refused, UserError
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Layout, Manifest
from shipway.signing import BUNDLE_TYPE, CONTENT, LARGEST, Bundle

_CREATED = "org.opencontainers.image.created"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Each method may be cancelled or killed at any line and asked for again."""

    parts: Parts

    async def listed(self, name: str, ref: str) -> Mapping[str, Any]:
        """What is to be signed, and what lies beside it, in base64. Raises NotFound, Corrupt."""
        version, descriptor = await self.parts.version(name, ref)
        found = await asyncio.to_thread(bundles, self.parts.layout, descriptor.digest)
        signatures = [base64.b64encode(one).decode() for one in found]
        return {"name": name, "version": version.number, "digest": descriptor.digest, "signatures": signatures}

    async def attach(self, name: str, ref: str, data: bytes, by: str) -> Mapping[str, Any]:
        """Keep a bundle as a referrer of the version that it speaks of. Idempotent.

        Whose signature it is, is not asked: any may lie there, and who verifies has the key. Raises UserError for what
        is no bundle or is one of another digest, NotFound.
        """
        version, descriptor = await self.parts.version(name, ref)
        what, bundle = f"{name}:{version.number}", Bundle.from_bytes(data)
        if descriptor.digest not in bundle.digests:
            raise UserError(
                f"the signature is of {', '.join(bundle.digests)}, and {what} is {descriptor.digest}",
                next_step=f"Sign that version: shipway models sign {what} --key FILE",
            )
        made = await asyncio.to_thread(_attach, self.parts.layout, descriptor, data, bundle, self.parts.clock.now())
        told = {"version": version.number, "digest": descriptor.digest, "key": bundle.hint, "by": by}
        self.parts.recorder.ledger(f"Model/{name}", "Signed", f"{what} got a signature", told)
        return {"name": name, "version": version.number, "digest": descriptor.digest, "referrer": made.digest}


def bundles(layout: Layout, digest: Digest) -> tuple[bytes, ...]:
    """The bundles that refer to an artifact, oldest first, for :func:`shipway.signing.judge`.

    One that is damaged, or no single small blob, is given as no bytes: it says nothing against the others. Raises
    Corrupt when the list itself is damaged.
    """
    return tuple(_bundle(layout, one) for one in layout.referrers(digest, BUNDLE_TYPE))


def _bundle(layout: Layout, referrer: Descriptor) -> bytes:
    try:
        layers = layout.read_manifest(referrer).layers
        return layout.read_blob(layers[0]) if len(layers) == 1 and layers[0].size <= LARGEST else b""
    except (Corrupt, Refused):
        return b""


def _attach(layout: Layout, subject: Descriptor, data: bytes, bundle: Bundle, now: datetime) -> Descriptor:
    with layout.lease(f"sign {subject.digest}") as lease:
        layer = layout.put_blob(data, BUNDLE_TYPE, lease=lease)
        layout.put_blob(EMPTY_CONFIG_BYTES, EMPTY_CONFIG.media_type, lease=lease)
        manifest = Manifest(
            config=EMPTY_CONFIG,
            layers=(layer,),
            artifact_type=BUNDLE_TYPE,
            annotations={
                # Of the bundle where it says so: the same bundle is the same referrer then.
                _CREATED: bundle.signed_at or now.isoformat(timespec="seconds"),
                "dev.sigstore.bundle.content": CONTENT,
                "dev.sigstore.bundle.predicateType": bundle.predicate_type,
            },
            subject=Descriptor(subject.media_type, subject.digest, subject.size),
        )
        return layout.attach(manifest, lease=lease)
