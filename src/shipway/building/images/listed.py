"""Which images there are, and what each keeps of the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from shipway.building.images.parts import Part, parts
from shipway.errors import ShipwayError
from shipway.image.names import BASES, IMAGES, name_of
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.pushed import pushed


def tagged(layout: Layout, *, bases: bool = True) -> Mapping[str, Descriptor]:
    """The images of the layout by their names, sorted; ``bases`` too."""
    rooms = (IMAGES, BASES) if bases else (IMAGES,)
    named = {tag: one for tag, one in layout.tags().items() if tag.startswith(rooms)}
    return {name: one for tag, one in named.items() if (name := name_of(tag))}


def images(layout: Layout, *, bases: bool = False) -> list[dict[str, Any]]:
    """Each image: name, tag, digest, platforms, base, where it was pushed, its bytes as they travel, and how many of
    them no other image or base here has. One that is damaged says so in ``problem``, and hides no other."""
    every = {name: _read(layout, name, one) for name, one in tagged(layout).items()}
    keepers = Counter(
        blob for blobs in {one.digest: _blobs(found) for one, found, _ in every.values()}.values() for blob in blobs
    )
    shown = tagged(layout, bases=bases)
    return [_told(name, *every[name], keepers) for name in shown]


def _read(layout: Layout, name: str, one: Descriptor) -> tuple[Descriptor, tuple[Part, ...], str]:
    try:
        return one, parts(layout, one, name), ""
    except ShipwayError as error:
        return one, (), error.message


def _blobs(found: tuple[Part, ...]) -> dict[Digest, int]:
    return {blob.digest: blob.size for part in found for blob in part.blobs}


def _told(
    name: str, one: Descriptor, found: tuple[Part, ...], problem: str, keepers: Mapping[Digest, int]
) -> dict[str, Any]:
    plain, _, tag = name.partition(":")
    blobs = _blobs(found)
    base, digest = found[0].base if found else ("", "")
    return {
        "name": plain,
        "tag": tag,
        "digest": one.digest,
        "platforms": [part.platform for part in found],
        "size": sum(blobs.values()),
        "own": sum(size for blob, size in blobs.items() if keepers[blob] == 1),
        "base": {"name": base, "digest": digest} if digest else None,
        "pushed": list(pushed(one)),
        "problem": problem,
    }
