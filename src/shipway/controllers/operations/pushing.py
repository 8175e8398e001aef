"""Push: a version of the layout goes to a registry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shipway.controllers.operations.parts import NewRegistry, Parts
from shipway.controllers.operations.requests import PushRequest
from shipway.errors import UserError
from shipway.oci import Descriptor, Layout
from shipway.oci.reference import Reference
from shipway.transfer import Report


async def push(parts: Parts, name: str, ref: str, asked: PushRequest, by: str, report: Report) -> Mapping[str, Any]:
    """Send what the registry does not have; a tag is written when all that it needs is there.

    Raises NotFound, UserError for a reference that is none, and what :class:`Registry` raises.
    """
    version, descriptor = await parts.version(name, ref)
    what = f"{name}:{version.number}"
    pinned, tags = await send(parts.layout, parts.registry, descriptor, asked, version.number, what, report)
    await asyncio.to_thread(parts.versions.mark_pushed, name, version.number, pinned)
    told = {"version": version.number, "digest": descriptor.digest, "reference": pinned, "by": by}
    message = f"{name}:{version.number} was pushed to {pinned}"
    parts.recorder.ledger(f"Model/{name}", "Pushed", message, told)
    await parts.show(name, "the newest version that passed its gate", by)
    return {
        "name": name,
        "version": version.number,
        "digest": descriptor.digest,
        "reference": pinned,
        "tags": tags,
    }


async def send(
    layout: Layout,
    new_registry: NewRegistry,
    descriptor: Descriptor,
    asked: PushRequest,
    number: int,
    what: str,
    report: Report,
) -> tuple[str, list[str | None]]:
    """Bring a version, of a model or of a data set, to all that ``asked`` names; where it is now, by digest, and its
    tags there. ``what`` says in the lease which it is. Raises what :func:`push` does."""
    targets = _targets(asked, number)
    with layout.lease(f"push {what}") as lease:
        lease.hold(descriptor.digest)  # somebody may remove the version meanwhile
        async with new_registry(asked.plain_http) as registry:
            for target in targets:
                await registry.push(layout, descriptor, target, report, referrers=asked.referrers)
    return str(targets[0].pinned(descriptor.digest)), [one.tag for one in targets]


def _targets(asked: PushRequest, number: int) -> tuple[Reference, ...]:
    """The references that are to name the version: the one asked for, by default tagged with the number, and those
    with its further tags. Raises UserError."""
    reference = Reference.parse(asked.reference)
    if reference.digest is not None:
        raise UserError(
            f"{reference} names a digest: what is pushed has its own", next_step="Leave out what begins with @."
        )
    first = reference if reference.tag is not None else reference.tagged(str(number))
    more = (first.tagged(one) for one in asked.also_tag)
    return tuple(dict.fromkeys((first, *more)))
