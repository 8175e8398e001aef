"""Images go: to a registry, or away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.building.images.opened import find
from shipway.building.place import Place
from shipway.errors import UserError
from shipway.image.names import BASES, name_of, tag_of
from shipway.image.pushing import Pushed
from shipway.oci.reference import Reference
from shipway.oci.registry import DockerCredentials, Registry
from shipway.transfer import Report


def pushed(place: Place, name: str, target: str, report: Report, *, plain_http: bool) -> Mapping[str, Any]:
    """Send an image with what lies beside it and beside each of its platforms; ``target`` without a tag gets the
    image's. Raises NotFound, UserError, and what :class:`Registry` raises."""
    layout, reference = place.layout, Reference.parse(target)
    nameless = name.startswith(("sha256:", BASES))
    if nameless and reference.tag is None:
        raise UserError(f"{name} has no tag that {reference} could get", next_step=f"Write {reference}:TAG.")
    known = name if nameless else name_of(tag_of(name)) or name

    def registry() -> Registry:
        return Registry(DockerCredentials(place.where.docker_config), plain_http=plain_http or None)

    with layout.lease(f"push {name}") as lease:
        image = find(layout, name)
        lease.hold(image.digest)  # somebody may remove it meanwhile
        (pinned,) = asyncio.run(Pushed(layout, registry, reference, report).publish(known, image))
    return {"name": known, "digest": image.digest, "reference": pinned}


def removed(place: Place, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Forget these names, all or none; bytes go with the next collection. Raises NotFound, UserError for a digest."""
    layout = place.layout
    for name in names:
        if name.startswith("sha256:"):
            raise UserError(f"{name} is a digest: only names are removed", next_step="See `shipway image ls`.")
    found = {tag_of(name): find(layout, name) for name in names}
    with layout.edit() as edit:
        for tag in found:
            edit.index = edit.index.without_tag(tag)
    left = {one.digest for one in layout.tags().values()}
    return [
        {"name": name_of(tag), "digest": image.digest, "named": image.digest in left} for tag, image in found.items()
    ]
