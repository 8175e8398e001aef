"""From the name of a base to the base: brought into the layout, its platform chosen, and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.errors import Corrupt, Refused, RegistryUnreachable
from shipway.image.bases import bring, debian, names, stores
from shipway.image.bases import config as configs
from shipway.image.bases.bring import Bringing
from shipway.image.bases.choose import LEVELS, check, choose
from shipway.image.bases.facts import facts
from shipway.image.bases.value import Base, Image
from shipway.image.names import BASES
from shipway.image.platform import Platform
from shipway.oci import Descriptor, Digest, Index, Layout, Lease, Manifest
from shipway.oci import document as documents
from shipway.oci.document import NOT_READABLE
from shipway.oci.manifest import INDEX_TYPES, LARGEST_MANIFEST, MANIFEST_TYPE, MANIFEST_TYPES
from shipway.oci.reference import Reference
from shipway.oci.tar import Limits
from shipway.transfer import Progress, Report, silent

if TYPE_CHECKING:  # who reads a Base only needs no HTTP
    from shipway.oci.registry import Registry

_LARGEST_CONFIG = 8 << 20  # bytes


class Bases:
    """Bases for one layout. ``cache`` (HOME/cache/image) keeps what was read of layers and bases, by digest;
    ``inherited`` is the environment of programs that are called."""

    def __init__(
        self,
        layout: Layout,
        registry: Callable[[], AbstractAsyncContextManager[Registry]],
        cache: Path,
        inherited: Mapping[str, str],
    ) -> None:
        self._layout, self._registry, self._cache, self._inherited = layout, registry, cache, inherited

    async def get(
        self,
        name: str,
        platform: Platform,
        lease: Lease,
        report: Report = silent,
        *,
        digest: Digest | None = None,
    ) -> Base:
        """The base of that name for that platform; with ``digest`` (the lock's) that one, whatever it means now.

        What is in the layout by that digest is not asked for anywhere. The lease holds it; later, the images that
        stand on it keep it, for their manifests name it by its digest. Only what is made here has a tag.
        Raises UserError for a name that is none; NotFound; Refused where there is none for the platform, or without a
        Python that wheels fit; Corrupt; EnvironmentFault and what registries raise.
        """
        full, source = names.parse(name)
        to = Bringing(self._layout, lease, report)
        manifest = await to.in_thread(partial(self._there, digest)) if digest is not None else None
        if manifest is None:
            manifest = await self._brought(full, source, platform, to, digest)
        return await to.in_thread(partial(self._read, full, platform, manifest))

    async def image(self, name: str, platform: Platform, lease: Lease, report: Report = silent) -> Image:
        """As :meth:`get`, and it need not have a Python: for who takes files out of it."""
        full, source = names.parse(name)
        to = Bringing(self._layout, lease, report)
        manifest = await self._brought(full, source, platform, to, None)
        return await to.in_thread(partial(self._image, full, platform, manifest))

    async def _brought(
        self, name: str, source: names.Source, platform: Platform, to: Bringing, digest: Digest | None
    ) -> Descriptor:
        if isinstance(source, names.InRegistry):
            try:
                return await self._pulled(source.reference, platform, to, digest)
            except RegistryUnreachable as error:
                step = f"{error.next_step}\nWhere no registry can be reached, one is made here: --base debian:bookworm"
                raise RegistryUnreachable(error.message, next_step=step) from error
        if isinstance(source, names.MadeHere):
            found = await self._made(source.suite, platform, to)
        else:
            found = await to.in_thread(partial(self._copied, source, name, platform))
        if digest not in (None, found.digest):
            raise Refused(
                f"the base {name} for {platform} is {found.digest} now, and the lock says {digest}",
                next_step="Use the image of the lock (from where it was made), or lock anew: --upgrade.",
            )
        return found

    async def _pulled(
        self, reference: Reference, platform: Platform, to: Bringing, digest: Digest | None
    ) -> Descriptor:
        at = reference if digest is None else reference.pinned(digest)
        async with self._registry() as registry:
            for _ in range(LEVELS):
                found, data = await registry.manifest(at)
                if found.media_type not in INDEX_TYPES:
                    break
                at = reference.pinned(choose(_index(data, at), platform, str(reference)).digest)
            if found.media_type not in MANIFEST_TYPES:
                raise Refused(f"{at} is {found.media_type!r}, not an image")
            # By its digest: the tag may name another one by now.
            return await registry.pull(reference.pinned(found.digest), to.layout, to.lease, to.report)

    async def _made(self, suite: str, platform: Platform, to: Bringing) -> Descriptor:
        tag = f"{BASES}debian-{suite}-{platform.architecture}"
        known = await to.in_thread(partial(self._tagged, tag))
        if known is not None:
            return known
        made = await debian.make(suite, platform, to, self._cache / "bases", self._inherited)
        self._layout.tag(made, tag)
        return made

    def _copied(self, source: names.InFiles, name: str, platform: Platform, to: Bringing) -> Descriptor:
        if source.archive:
            archive = stores.Archive(source.path, Limits())
            if not archive.has("index.json") and archive.has("manifest.json"):
                return bring.from_docker(archive, source.tag, name, to)
            return bring.from_layout(archive, source.tag, platform, name, to)
        return bring.from_layout(self._folder(source.path), source.tag, platform, name, to)

    def _folder(self, path: Path) -> stores.Store:
        # Ours may be encrypted: only itself can read it.
        same = path.exists() and path.resolve() == self._layout.root.resolve()
        return stores.Own(self._layout) if same else stores.folder(path)

    def _there(self, digest: Digest, to: Bringing) -> Descriptor | None:
        """A manifest of the layout by its digest, when all of it is there."""
        to.lease.hold(digest)
        size = self._layout.blobs.size(digest)
        if size is None or size > LARGEST_MANIFEST:
            return None
        found = Descriptor(MANIFEST_TYPE, digest, size)
        try:
            data = self._layout.read_blob(found)
            said = documents.read(data).get("mediaType", MANIFEST_TYPE)
            return self._whole(Descriptor(said, digest, size), to) if said in MANIFEST_TYPES else None
        except (Corrupt, *NOT_READABLE):
            return None  # brought again: that mends it

    def _tagged(self, tag: str, to: Bringing) -> Descriptor | None:
        known = self._layout.tags().get(tag)
        if known is None:
            return None
        to.lease.hold(known.digest)
        return self._whole(known, to)

    def _whole(self, manifest: Descriptor, to: Bringing) -> Descriptor | None:
        """The manifest, when all blobs that it needs are there."""
        try:
            read = self._layout.read_manifest(manifest)
        except Corrupt:
            return None
        to.lease.hold(*(one.digest for one in (read.config, *read.layers)))
        return manifest if all(map(self._layout.has_blob, (read.config, *read.layers))) else None

    def _read(self, name: str, platform: Platform, manifest: Descriptor, to: Bringing) -> Base:
        read = self._layout.read_manifest(manifest)
        config = self._config(name, read)
        check(config, platform, name)
        found = facts(self._layout, manifest.digest, read.layers, config, platform, self._cache, name)
        to.report(Progress(f"base {name}", 0, 0, found.why))
        return Base(name, manifest, platform, config, read.layers, found.python, found.top, found.passwd, found.group)

    def _image(self, name: str, platform: Platform, manifest: Descriptor, to: Bringing) -> Image:
        read = self._layout.read_manifest(manifest)
        config = self._config(name, read)
        check(config, platform, name)
        return Image(name, manifest, platform, config, read.layers)

    def _config(self, name: str, manifest: Manifest) -> Mapping[str, Any]:
        if manifest.config.size > _LARGEST_CONFIG or manifest.artifact_type is not None:
            raise Refused(f"the base {name} is not an image, but an artifact of {manifest.artifact_type or 'no type'}")
        data = self._layout.read_blob(manifest.config)
        try:
            return configs.read(data, len(manifest.layers))
        except NOT_READABLE as error:
            raise Refused(
                f"the base {name} is not an image: its config is none ({error!r})",
                next_step="Tell who made it; use another base.",
            ) from error


def _index(data: bytes, at: Reference) -> Index:
    try:
        return Index.from_bytes(data)
    except NOT_READABLE as error:
        raise Refused(f"{at} is not an index that can be read: {error!r}") from error
