"""A publisher that sends images to a registry. Apart from the others: HTTP takes a fifth of a second to import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from shipway.errors import UserError
from shipway.image.names import tag_of
from shipway.oci import Descriptor, Layout
from shipway.oci.pushed import with_pushed
from shipway.oci.reference import Reference
from shipway.oci.registry import Registry
from shipway.transfer import Report

NewRegistry: TypeAlias = Callable[[], AbstractAsyncContextManager[Registry]]


class Pushed:
    """Sends it to a registry with what refers to it: only what is not there. ``repository`` without a tag gets the
    image's own."""

    def __init__(self, layout: Layout, registry: NewRegistry, repository: Reference, report: Report) -> None:
        if repository.digest is not None:
            raise UserError(
                f"{repository} names a digest: what is pushed has its own", next_step="Leave out what begins with @."
            )
        self._layout, self._registry, self._repository, self._report = layout, registry, repository, report

    async def publish(self, name: str, descriptor: Descriptor) -> tuple[str, ...]:
        """``ghcr.io/team/digits:latest@sha256:...``. Raises what :class:`Registry` raises."""
        tag = name.rpartition(":")[2]
        target = self._repository if self._repository.tag is not None else self._repository.tagged(tag)
        async with self._registry() as registry:
            await registry.push(self._layout, descriptor, target, self._report)
        pinned = str(target.pinned(descriptor.digest))
        with self._layout.edit() as edit:
            known = edit.index.tags.get(tag_of(name))
            if known is not None and known.digest == descriptor.digest:
                edit.index = edit.index.with_tag(tag_of(name), with_pushed(known, pinned))
        return (pinned,)
