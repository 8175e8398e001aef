"""The lock files of a folder: what was chosen once is chosen again, until what was asked for changes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, Self, TypeAlias

from shipway.errors import EnvironmentFault, Refused, UserError
from shipway.image.bases import Base
from shipway.image.lock import Lock, LockedBase, Package, Resolution, file_name
from shipway.image.platform import Platform, Target
from shipway.image.recipe import Packages, Recipe
from shipway.oci import Digest
from shipway.oci.cancelling import in_thread
from shipway.transfer import Progress, Report

Mode: TypeAlias = Literal["keep", "locked", "upgrade"]

_LARGEST = 16 << 20  # bytes; a lock of 500 packages for two platforms has 0.3 MB


class Chooses(Protocol):
    """Asks package indexes. Blocking."""

    def resolve(self, asked: Sequence[str], target: Target, pins: Sequence[Package] = ()) -> tuple[Package, ...]:
        """Packages that satisfy all lines on the target: those of ``pins`` where they still fit."""
        ...


class LockFolder:
    """Locks as files in a folder, one for each recipe and for all of its platforms.

    ``mode``: ``keep`` what fits, refuse to change anything (``locked``), or choose all anew (``upgrade``).
    """

    def __init__(self, folder: Path, resolver: Chooses, mode: Mode, report: Report) -> None:
        self._folder, self._resolver, self._mode, self._report = folder, resolver, mode, report
        self._chosen: dict[str, dict[Platform, Resolution]] = {}  # in this run, by recipe

    def using(self, resolver: Chooses) -> Self:
        """The same locks, for which another one chooses: a Dockerfile may name indexes of its own."""
        self._resolver = resolver
        return self

    def path(self, name: str) -> Path:
        """Where the lock of a recipe lies."""
        return self._folder / file_name(name)

    def base_name(self, name: str) -> str:
        """On which base the recipe of that name was built last; empty without a lock. Raises UserError."""
        return next((one.base.name for one in self._read(name).values()), "")

    def base(self, recipe: Recipe, platform: Platform) -> Digest | None:
        """See :class:`Locks`. Raises UserError for a lock that cannot be read."""
        known = self._read(recipe.name).get(platform)
        if known is not None and known.base.name == recipe.base:
            return None if self._mode == "upgrade" else known.base.digest
        if self._mode == "locked":  # said before the base is fetched
            why = "there is none yet" if known is None else f"it was made for the base {known.base.name}"
            raise self._would_change(recipe.name, platform, why)
        return None

    async def resolution(self, recipe: Recipe, packages: Packages, base: Base) -> Resolution:
        """See :class:`Locks`. Raises Refused when the lock would change and must not, and what the resolver raises."""
        lines, wanted = (*packages.asked, *packages.runtime), LockedBase(base.name, base.manifest.digest)
        asked = (*packages.asked, *packages.terms, *packages.runtime)
        there = self._read(recipe.name)
        known = there.get(base.platform)
        why = "there is none yet" if known is None else known.fits(asked, base.target, wanted, packages.runtime)
        if known is not None and not why and self._mode != "upgrade":
            return known
        if self._mode == "locked":
            raise self._would_change(recipe.name, base.platform, why)
        chosen = Resolution(base.target, asked, wanted, await self._resolved(recipe.name, lines, base.target, there))
        self._keep(recipe.name, chosen, there)
        return chosen

    def _would_change(self, name: str, platform: Platform, why: str) -> Refused:
        return Refused(
            f"--locked: the lock {self.path(name)} would change for {platform}: {why}",
            next_step="Build without --locked, look at the change, and commit the file.",
        )

    async def _resolved(
        self, name: str, asked: tuple[str, ...], target: Target, there: Mapping[Platform, Resolution]
    ) -> tuple[Package, ...]:
        if not asked:
            return ()
        # Two platforms of one image have the same versions, as far as there are wheels; its own were chosen for it.
        chosen = self._chosen.get(name, {}) if self._mode == "upgrade" else {**there, **self._chosen.get(name, {})}
        own_last = sorted(chosen.values(), key=lambda one: one.target.platform == target.platform)
        pins = {one.name: one for source in own_last for one in source.packages}
        self._report(Progress(f"resolve for {target}", 0))
        found = await in_thread(lambda _: self._resolver.resolve(asked, target, tuple(pins.values())), self._report)
        self._report(Progress(f"resolve for {target}", 1, 1, f"{len(found)} packages"))
        return found

    def _read(self, name: str) -> Mapping[Platform, Resolution]:
        path = self.path(name)
        try:
            with path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"the lock {path} cannot be read: {error.strerror}") from error
        if len(data) > _LARGEST:
            raise UserError(f"{path} has more than {_LARGEST} bytes: it is no lock that Shipway wrote")
        try:
            # What is not UTF-8 is no TOML either, and told as such.
            return Lock.read(data.decode(errors="replace")).resolutions
        except UserError as error:
            if self._mode == "upgrade":
                return {}
            raise UserError(f"{path}: {error.message}", next_step=error.next_step) from error

    def _keep(self, name: str, chosen: Resolution, there: Mapping[Platform, Resolution]) -> None:
        """Other platforms stay while they stand for the same lines."""
        self._chosen.setdefault(name, {})[chosen.target.platform] = chosen
        others = {
            one: old for one, old in there.items() if old.asked == chosen.asked and old.base.name == chosen.base.name
        }
        text = Lock({**others, **self._chosen[name]}).to_text()
        path = self.path(name)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            part.write_text(text, "utf-8")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise EnvironmentFault(
                f"the lock {path} cannot be written: {error.strerror}",
                next_step="Make the folder writable; with a lock that fits, say --locked and nothing is written.",
            ) from error
