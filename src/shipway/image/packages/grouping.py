"""Which packages share a layer. Pure.

A large wheel has a layer of its own, so that torch is not sent again because Flask moved. Of the small ones, those
that the runtime needs share one, which all images of a registry have in common, and the user's share another. The rule
looks at the names and sizes in the lock alone: equal locks make equal layers, and a package that comes, goes or
changes leaves the layers of all others as they were, but where it crosses :data:`LARGE` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipway.image.lock import Package

LARGE = 4 << 20  # bytes of a wheel, from which it has a layer of its own
MOST = 32  # such layers: overlay mounts take some 120 in all, and bases, code and models need theirs

RUNTIME = "packages of the runtime"
REST = "packages"


@dataclass(frozen=True, slots=True)
class Group:
    """The packages of one layer, sorted by name."""

    title: str
    packages: tuple[Package, ...]


def grouped(packages: Sequence[Package], runtime: frozenset[str]) -> tuple[Group, ...]:
    """The layers, from what seldom changes to what often does: large wheels by name, the runtime's, the rest.

    ``runtime`` names what the runtime asks for, as the lock has the names; give the same for each image, or they share
    less. A source distribution counts with its own size: nobody knows its wheel's before.
    """
    by_size = sorted(packages, key=lambda one: (-one.file.size, one.name))
    large = {one.name for one in by_size[:MOST] if one.file.size >= LARGE}
    small = [one for one in packages if one.name not in large]
    groups = (
        *(Group(one.name, (one,)) for one in sorted(packages, key=_name) if one.name in large),
        Group(RUNTIME, tuple(sorted((one for one in small if one.name in runtime), key=_name))),
        Group(REST, tuple(sorted((one for one in small if one.name not in runtime), key=_name))),
    )
    return tuple(one for one in groups if one.packages)


def _name(package: Package) -> str:
    return package.name
