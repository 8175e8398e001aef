"""An image by the name that a user gives it: one of the layout, or one of a registry, brought here for a moment."""

from __future__ import annotations

import asyncio
import difflib
import platform as machine
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shipway.building.images.listed import tagged
from shipway.building.images.parts import Part, parts
from shipway.building.place import Place
from shipway.errors import NotFound, UserError
from shipway.image.names import tag_of
from shipway.image.platform import Platform
from shipway.image.view import View
from shipway.oci import Descriptor, Layout
from shipway.oci.leases import Lease
from shipway.oci.reference import Reference
from shipway.oci.registry import DockerCredentials, Registry
from shipway.oci.registry.missing import missing
from shipway.oci.tree import manifests
from shipway.oci.unpack import is_tar
from shipway.transfer import Report


@dataclass(frozen=True, slots=True)
class Image:
    """An image that lies in the layout; ``whole``: its layers too."""

    name: str
    descriptor: Descriptor
    layout: Layout
    cache: Path
    whole: bool = True

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its platforms. Raises Corrupt, UserError for what is no image."""
        return parts(self.layout, self.descriptor, self.name)

    def part(self, platform: str | None) -> Part:
        """The part for a platform (``linux/amd64``); without one, the only one, or that of this machine.

        Raises NotFound, and UserError when it must be said.
        """
        found = self.parts
        wanted = platform or (found[0].platform if len(found) == 1 else _here())
        for one in found:
            if one.platform == wanted:
                return one
        there = ", ".join(one.platform for one in found)
        raise NotFound(f"{self.name} is not for {wanted}", next_step=f"It is for {there}: say --platform.")

    def view(self, part: Part) -> View:
        """The files of a part."""
        return View(self.layout, part.manifest.layers, self.cache / "views")


@contextmanager
def opened(place: Place, name: str, report: Report, *, plain_http: bool = False, whole: bool = True) -> Iterator[Image]:
    """The image of that name, for the length of the block: ``NAME[:TAG]``, a digest, or a registry's reference.

    Of one in a registry what is not here is fetched into the layout, without its layers unless ``whole``, and kept for
    as long as somebody needs it. Raises NotFound, UserError, what :class:`Registry` raises, Corrupt.
    """
    layout, reference = place.layout, reference_of(name)
    with layout.lease(f"look at {name}") as lease:
        if reference is None:
            image = find(layout, name)
            lease.hold(image.digest)
            yield Image(name, image, layout, place.cache)
        else:
            image = asyncio.run(fetched(place, reference, layout, lease, report, plain_http, whole))
            yield Image(name, image, layout, place.cache, whole)


def find(layout: Layout, name: str) -> Descriptor:
    """What the layout has under a name or a digest, without what its entry says of it. Raises NotFound, UserError."""
    if name.startswith("sha256:"):
        return _by_digest(layout, name)
    tag = tag_of(name)
    found = layout.tags().get(tag)
    if found is None:
        there = tagged(layout)
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"Did you mean {near[0]}?" if near else "See `shipway image ls`; `shipway build` makes one."
        raise NotFound(f"there is no image {name!r} here", next_step=hint)
    return found.bare()


async def fetched(
    place: Place, source: Reference, layout: Layout, lease: Lease, report: Report, plain_http: bool, whole: bool
) -> Descriptor:
    """Bring an image of a registry with what lies beside it and beside each of its platforms. Raises NotFound, and
    what :class:`Registry` raises."""

    def wanted(blob: Descriptor) -> bool:
        return whole or not is_tar(blob.media_type)

    async with Registry(DockerCredentials(place.where.docker_config), plain_http=plain_http or None) as registry:
        with missing(source):
            image = await registry.pull(source, layout, lease, report, referrers=True, wanted=wanted)
        for one in manifests(layout, image):
            if one.digest != image.digest:
                await registry.pull(source.pinned(one.digest), layout, lease, referrers=True, wanted=wanted)
    return image.bare()


def reference_of(name: str) -> Reference | None:
    """What names a registry's host is a reference; all else is a name of ours."""
    host, slash, _ = name.partition("/")
    is_host = bool(slash) and ("." in host or ":" in host or host == "localhost")
    return Reference.parse(name) if is_host else None


def _by_digest(layout: Layout, text: str) -> Descriptor:
    """Of an image or of a platform of it; the beginning of the digest is enough when it is the only one."""
    roots = tagged(layout).values()
    found = {one.digest: one for root in roots for one in manifests(layout, root) if one.digest.startswith(text)}
    if len(found) > 1:
        raise UserError(f"{text} begins the digests of {len(found)} images", next_step="Write more of it.")
    if not found:
        raise NotFound(f"there is no image {text} here", next_step="See `shipway image ls`.")
    [one] = found.values()
    return one.bare()


def _here() -> str:
    return str(Platform.of_machine(machine.machine()))
