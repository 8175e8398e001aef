"""Supplies: what travels between this home and the registry that a cluster's nodes can reach.

Implements :class:`shipway.ports.Supplies` for one registry; the layout's entries remember what was sent where, so
another repository of that registry gets a mount and not the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from shipway.errors import NotFound, Refused, RegistryRefused, RegistryUnreachable, UserError
from shipway.models import Materials, artifact, layers, modelpack, outputs, snapshots, twin
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.leases import Lease
from shipway.oci.manifest import INDEX_TYPES
from shipway.oci.pushed import pushed, with_pushed
from shipway.oci.reference import Reference
from shipway.oci.registry import Registry
from shipway.oci.registry.missing import missing
from shipway.snapshot import walk

_OUTPUTS = "output/"  # tags of what was fetched: no model's tag has a slash
_KEPT = 20  # outputs: a version is packed of one soon, and pushing it mounts these blobs


class HomeSupplies:
    """Sends artifacts of the layout, and brings outputs of jobs back."""

    def __init__(self, layout: Layout, materials: Materials, new_registry: Callable[[], Registry]) -> None:
        self._layout = layout
        self._materials = materials
        self._new_registry = new_registry
        self._sent: dict[tuple[str, str], str] = {}  # since this process runs: digest and repository -> reference
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    async def send(self, digest: str, repository: str) -> str:
        """See :class:`shipway.ports.Supplies`. What an earlier hub has sent is asked for once, and sent again when the
        registry has lost it; a registry that does not answer is no reason to wait."""
        key = digest, repository
        async with self._turns.setdefault(key, asyncio.Lock()):
            if key not in self._sent:
                self._sent[key] = await self._send(digest, Reference.parse(repository))
            return self._sent[key]

    async def answer(self, repository: str) -> str:
        """See :class:`shipway.ports.Supplies`."""
        reference = Reference.parse(repository)
        async with self._new_registry() as registry:
            try:
                await registry.resolve(reference.tagged("latest"))
            except RegistryRefused as error:
                if error.status != 404:
                    raise
        return f"{reference.registry} answers from here"

    async def fetch(self, reference: str) -> Path:
        """See :class:`shipway.ports.Supplies`. Raises Refused for what is no output, NotFound when it is not there."""
        wanted = Reference.parse(reference)
        if wanted.digest is None:
            raise UserError(f"{reference} has no digest: what a tag names may be another thing by now")
        if self._layout.index().tags.get(_tag(wanted.digest)) is None:
            with self._layout.lease(f"fetch {reference}") as lease:
                async with self._new_registry() as registry:
                    with missing(wanted):
                        found = await registry.pull(wanted, self._layout, lease)
                await asyncio.to_thread(self._keep, found, wanted)
        return await asyncio.to_thread(self._materials.materialise, wanted.digest)

    async def _send(self, digest: str, repository: Reference) -> str:
        with self._layout.lease(f"send {digest}") as lease:
            descriptor = await asyncio.to_thread(self._sendable, Digest(digest), lease)
            pinned = repository.pinned(descriptor.digest)
            async with self._new_registry() as registry:
                if str(pinned) not in self._remembered(digest) or not await _is_there(registry, pinned):
                    # A tag, for registries delete what has none.
                    await registry.push(self._layout, descriptor, repository.tagged(descriptor.digest.hex[:12]))
        await asyncio.to_thread(self._remember, Digest(digest), str(pinned))
        return str(pinned)

    # -- the layout

    def _find(self, digest: Digest) -> tuple[str, Descriptor]:
        """A tag that leads to the artifact, and its manifest. A snapshot is named by its tar, and has a manifest."""
        tags = self._layout.index().tags
        named = snapshots.tag_of(digest)
        if named in tags:
            return named, tags[named]
        for tag, entry in tags.items():
            if entry.digest == digest:
                return tag, entry
        raise NotFound(
            f"there is no snapshot, no model version and no data set with the digest {digest}",
            next_step="Run the command that made it again, or see `shipway models` and `shipway data`.",
        )

    def _sendable(self, digest: Digest, lease: Lease) -> Descriptor:
        """The manifest to send. A model that is no index has no image over its blobs: it gets one, so that nodes can
        mount it as well."""
        lease.hold(digest)
        _, descriptor = self._find(digest)
        lease.hold(descriptor.digest)
        if descriptor.media_type in INDEX_TYPES or not _is_model(self._layout, descriptor):
            return descriptor.bare()
        files = tuple(walk(self._materials.materialise(digest)))
        put = partial(self._layout.put_blob, lease=lease)
        written = layers.write(files, "tar", put).layers
        images = {
            architecture: self._layout.put_manifest(
                twin.image(put(twin.config(architecture, written, None), twin.IMAGE_CONFIG_TYPE), written, "tar"),
                lease=lease,
            )
            for architecture in twin.ARCHITECTURES
        }
        return self._layout.put_index(twin.index(descriptor.bare(), images), lease=lease)

    def _remembered(self, digest: str) -> tuple[str, ...]:
        return pushed(self._find(Digest(digest))[1])

    def _remember(self, digest: Digest, reference: str) -> None:
        tag, entry = self._find(digest)
        if reference not in pushed(entry):
            with self._layout.edit() as edit:
                if (now := edit.index.tags.get(tag)) is not None and now.digest == entry.digest:
                    edit.index = edit.index.with_tag(tag, with_pushed(now, reference))

    def _keep(self, descriptor: Descriptor, reference: Reference) -> None:
        """Tag an output that was fetched, and let the oldest ones go."""
        kind = artifact.opened(self._layout, descriptor).artifact_type
        if kind != outputs.ARTIFACT_TYPE:
            raise Refused(f"{reference} is no output of a job: it is an artifact of the type {kind}")
        with self._layout.edit() as edit:
            entry = with_pushed(descriptor.bare(), str(reference))
            edit.index = edit.index.with_tag(_tag(descriptor.digest), entry)
            kept = [(tag, one) for tag, one in edit.index.tags.items() if tag.startswith(_OUTPUTS)]
            newest = sorted(kept, key=lambda pair: str(self._layout.touched(pair[1].digest)), reverse=True)
            edit.index = edit.index.without_tags({tag for tag, _ in newest[_KEPT:]})


def _tag(digest: Digest) -> str:
    return f"{_OUTPUTS}{digest.hex}"


def _is_model(layout: Layout, descriptor: Descriptor) -> bool:
    manifest = layout.read_manifest(descriptor)
    types = (modelpack.MANIFEST_TYPE, modelpack.CONFIG_TYPE, artifact.MODELKIT_CONFIG)
    return manifest.artifact_type in types or manifest.config.media_type in types


async def _is_there(registry: Registry, reference: Reference) -> bool:
    """Whether the registry has it still; where it does not answer, as it was."""
    try:
        await registry.resolve(reference)
    except RegistryRefused as error:
        return error.status != 404
    except RegistryUnreachable:
        return True
    return True
