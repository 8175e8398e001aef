"""Pull: what a registry holds becomes a version of this home."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shipway.controllers.curator import Curator, check_free
from shipway.controllers.model import found_model
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.requests import PullRequest
from shipway.kinds import CHAMPION
from shipway.models import artifact
from shipway.oci.reference import Reference
from shipway.oci.registry.missing import missing
from shipway.oci.signatures import bundles
from shipway.signing import PublicKey, judge
from shipway.transfer import Report


async def pull(parts: Parts, name: str, asked: PullRequest, by: str, report: Report) -> Mapping[str, Any]:
    """Fetch what is not here, verify it, and make it the model's next version; one that is here stays what it is.

    The line in the ledger is written before the version: killed between the two, the next pull writes it no second
    time. Raises UserError, Refused for what is no model or lacks the signature that was asked for, Conflict, what
    :class:`Registry` raises, and when all is done Refused for the alias champion of a version that its gate held back.
    """
    reference = Reference.parse(asked.reference)
    for alias in asked.tags:
        check_free(alias)
    parts.check_accepts(name)
    key = PublicKey.from_pem(asked.key.encode()) if asked.key else None
    with parts.layout.lease(f"pull {reference}") as lease:
        async with parts.registry(asked.plain_http) as registry:
            referrers = asked.referrers or key is not None
            with missing(reference):
                descriptor = await registry.pull(reference, parts.layout, lease, report, referrers=referrers)
        pinned = str(reference.pinned(descriptor.digest))
        if key is not None:
            found = await asyncio.to_thread(bundles, parts.layout, descriptor.digest)
            judge(descriptor.digest, found, key).require(pinned)
        there = any(one.digest == descriptor.digest for one in parts.versions.numbers(name).values())
        await asyncio.to_thread(artifact.checked_model, parts.layout, descriptor)
        if not there:
            told = {"digest": descriptor.digest, "reference": pinned, "by": by}
            message = f"{pinned} was pulled as a version of {name}"
            parts.recorder.ledger(f"Model/{name}", "Pulled", message, told)
        version = await asyncio.to_thread(parts.versions.adopt, name, descriptor, pinned)
    if asked.trust:
        await parts.trust(name, version, by)
    await parts.show(name, f"pulled from {pinned}", by)
    curator = Curator(parts.store, parts.versions, parts.recorder, parts.clock)
    for alias in asked.tags:
        await curator.tag(name, str(version.number), alias, by=by, why=f"pulled from {pinned}")
    return {
        "name": name,
        "version": version.number,
        "digest": version.digest,
        "reference": pinned,
        "there": there,
        "champion": version.number == found_model(parts.store, name).status.aliases.get(CHAMPION),
        "trusted": asked.trust or version.trusted or version.origin == "job",
        "format": version.format,
        "size": version.size,
    }
