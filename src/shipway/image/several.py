"""One image for several platforms: each is built by itself, and an index names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipway.image.build import Built
from shipway.oci import Descriptor, Index, Layout
from shipway.oci.leases import Lease


@dataclass(frozen=True, slots=True)
class Image:
    """What a name is to stand for: the manifest of the one platform, or the index of all."""

    descriptor: Descriptor
    platforms: tuple[Built, ...]


def joined(made: Sequence[Built], layout: Layout, lease: Lease) -> Image:
    """The image of these builds, one for each platform."""
    if len(made) == 1:
        return Image(made[0].descriptor, tuple(made))
    entries = tuple(
        Descriptor(media_type, digest, size, extra={"platform": one.platform.document()})
        for one in made
        for media_type, digest, size in ((one.descriptor.media_type, one.descriptor.digest, one.descriptor.size),)
    )
    return Image(layout.put_index(Index(entries), lease=lease), tuple(made))
