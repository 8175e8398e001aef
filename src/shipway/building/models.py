"""Model versions of the home for images: which one a reference stands for, and what names it in the layout."""

from __future__ import annotations

from dataclasses import replace

from shipway.building.workloads import InImage
from shipway.clock import SystemClock
from shipway.errors import NotFound
from shipway.kinds import CHAMPION, ResolvedModel
from shipway.models import Versions
from shipway.oci import Layout


def found(layout: Layout, reference: str) -> InImage:
    """The version that ``NAME``, ``NAME:2`` or ``NAME:champion`` is. Raises NotFound that says what there is."""
    versions = Versions(layout, SystemClock())
    name, _, ref = reference.partition(":")
    numbers, aliases = versions.numbers(name), {"latest": max(versions.numbers(name), default=0)}
    aliases |= versions.aliases(name)
    number = int(ref) if ref.isascii() and ref.isdigit() else aliases.get(ref or CHAMPION, 0)
    if not ref and not number:
        number = aliases["latest"]
    if number not in numbers:
        there = ", ".join(f"{name}:{one}" for one in sorted(numbers)[-10:])
        others = ", ".join(versions.names()[:10]) or "none"
        raise NotFound(
            f"--model {reference}: this home has no such version",
            next_step=f"It has: {there}." if there else f"Models with versions: {others}. Train one: shipway up.",
        )
    [version] = versions.list(name, (number,))
    resolved = ResolvedModel(
        name=name,
        version=number,
        digest=version.digest,
        format=version.format,
        origin=version.origin,
        trusted=version.trusted,
    )
    return InImage(resolved, replace(numbers[number], annotations={}))
