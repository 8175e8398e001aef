"""From a recipe to an image in the layout, for one platform. What is more than that, decorators add, a file each.

Model: ko's ``pkg/build`` (an interface with one method, and wrappers that limit, cache and record).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shipway.image.bases import Base
from shipway.image.layer import Compression, Layer
from shipway.image.lock import Resolution
from shipway.image.platform import Platform
from shipway.image.recipe import Packages, Recipe
from shipway.oci import Descriptor, Digest
from shipway.oci.leases import Lease
from shipway.transfer import Report


@dataclass(frozen=True, slots=True)
class Built:
    """An image that lies in the layout, held by the lease of who asked; no tag names it yet.

    ``base`` is None where another program made it, and ``layers`` are all that it has.
    """

    recipe: Recipe
    descriptor: Descriptor
    platform: Platform
    base: Base | None
    layers: tuple[Layer, ...]  # those above the base
    resolution: Resolution | None = None  # what was chosen for its Packages
    referrers: tuple[Descriptor, ...] = ()


class Builder(Protocol):
    """What makes images."""

    async def build(self, recipe: Recipe, platform: Platform) -> Built:
        """Make it. May be killed at any line and asked again: what is in the layout is not made twice.

        Raises UserError, Refused (what the recipe asks for must not or cannot be), DependencyFailed (uv, mmdebstrap),
        what registries raise, EnvironmentFault when the disk is full.
        """
        ...


class BaseSource(Protocol):
    """Where bases come from."""

    async def get(
        self, name: str, platform: Platform, lease: Lease, report: Report, *, digest: Digest | None = None
    ) -> Base:
        """The base of that name; with ``digest`` that one, whatever the name means now."""
        ...


class Locks(Protocol):
    """What was chosen for each recipe, and what is chosen now."""

    def base(self, recipe: Recipe, platform: Platform) -> Digest | None:
        """The digest to which the recipe's base is held; None where it is free."""
        ...

    async def resolution(self, recipe: Recipe, packages: Packages, base: Base) -> Resolution:
        """What is installed for these packages' lines on that base: the lock's, else chosen now, and locked."""
        ...


class PackageLayers(Protocol):
    """From what was chosen to layers. Blocking."""

    def layers(
        self,
        resolution: Resolution,
        compression: Compression,
        lease: Lease,
        report: Report,
        *,
        runtime_names: frozenset[str],
        sees_base: bool = False,
        bytecode: bool = False,
    ) -> tuple[Layer, ...]:
        """The virtual environment and a layer for each group of packages, made or from the cache."""
        ...
