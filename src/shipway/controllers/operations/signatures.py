"""Signatures beside a version: bundles that were made elsewhere, kept and given out. Who has a key judges them.

They are referrers of the version (:mod:`shipway.oci.signatures`), so they go where it is pushed and come with
it when it is pulled.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.controllers.operations.parts import Parts
from shipway.errors import UserError
from shipway.oci.signatures import attach, bundles
from shipway.signing import Bundle


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
        made = await asyncio.to_thread(attach, self.parts.layout, descriptor, data, bundle, self.parts.clock.now())
        told = {"version": version.number, "digest": descriptor.digest, "key": bundle.hint, "by": by}
        self.parts.recorder.ledger(f"Model/{name}", "Signed", f"{what} got a signature", told)
        return {"name": name, "version": version.number, "digest": descriptor.digest, "referrer": made.digest}
