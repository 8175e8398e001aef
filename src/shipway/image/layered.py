"""The builder: a base, and a layer or more for each step of the recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from shipway.image.assemble import CONFIG_TYPE, Runs, config, manifest, said_of
from shipway.image.bases.config import environment
from shipway.image.bases.value import Base
from shipway.image.build import BaseSource, Built, Locks, PackageLayers
from shipway.image.layer import Entry, Layer
from shipway.image.layers import model, user
from shipway.image.layers.write import write
from shipway.image.lock import Resolution
from shipway.image.platform import Platform
from shipway.image.recipe import VENV, Files, Model, Packages, Recipe, User
from shipway.oci import Layout
from shipway.oci.cancelling import in_thread
from shipway.oci.leases import Lease
from shipway.transfer import Progress, Report

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # what runtimes set where a base sets none


@dataclass(frozen=True, slots=True)
class Layered:
    """Builds into ``layout``; what is made is in the ``lease`` until somebody names it. See :class:`Builder`.

    ``cache``: the folder that remembers what layers hold.
    """

    layout: Layout
    lease: Lease
    report: Report
    bases: BaseSource
    locks: Locks
    packages: PackageLayers
    cache: Path

    async def build(self, recipe: Recipe, platform: Platform) -> Built:
        """The image, and nothing that refers to it yet."""
        locked = self.locks.base(recipe, platform)
        base = await self.bases.get(recipe.base, platform, self.lease, self.report, digest=locked)
        return await self.on(base, recipe)

    async def on(self, base: Base, recipe: Recipe) -> Built:
        """As :meth:`build`, on a base that is here."""
        resolution: Resolution | None = None
        layers: list[Layer] = []
        for step in recipe.steps:
            if isinstance(step, Packages):
                resolution = await self.locks.resolution(recipe, step, base)
                layers += await self._packages(step, resolution, recipe)
            else:
                layers += await in_thread(partial(self._made, step, recipe, base), self.report)
        runs = _labelled(recipe.runs if resolution is None else _with_venv(recipe.runs, base), base)
        blob = self.layout.put_blob(config(base, layers, runs), CONFIG_TYPE, lease=self.lease)
        descriptor = self.layout.put_manifest(manifest(blob, base, layers), lease=self.lease)
        return Built(recipe, descriptor, base.platform, base, tuple(layers), resolution)

    async def _packages(self, step: Packages, resolution: Resolution, recipe: Recipe) -> tuple[Layer, ...]:
        def work(report: Report) -> tuple[Layer, ...]:
            return self.packages.layers(
                resolution,
                recipe.compression,
                self.lease,
                report,
                runtime_names=names_of(step.runtime),
                sees_base=step.sees_base,
                bytecode=recipe.bytecode,
            )

        return await in_thread(work, self.report)

    def _made(self, step: Files | User | Model, recipe: Recipe, base: Base, report: Report) -> tuple[Layer, ...]:
        match step:
            case Files(title, entries, _):
                return self._written(entries, title, recipe, report)
            case User(uid):
                return self._written(user.entries(base, uid), f"user {uid}", recipe, report)
            case Model(name, version):
                below, links = model.model_layers(self.layout, version, base, self.cache)
                self.lease.hold(*(one.descriptor.digest for one in below))
                named = tuple(replace(one, created_by=f"model {name}") for one in below)
                return (*named, *self._written(links, f"links to model {name}", recipe, report))

    def _written(self, entries: Iterable[Entry], title: str, recipe: Recipe, report: Report) -> tuple[Layer, ...]:
        """A layer; none of nothing."""
        found = tuple(_heard(entries, title, report))
        if not found:
            return ()
        layer = write(found, self.layout, self.lease, recipe.compression, title)
        report(Progress(title, layer.descriptor.size, layer.descriptor.size))
        return (layer,)


def names_of(lines: Iterable[str]) -> frozenset[str]:
    """The packages that these lines ask for, normalised; a line that is no requirement asks for none. Pure."""
    found: set[str] = set()
    for line in lines:
        with suppress(InvalidRequirement):
            found.add(canonicalize_name(Requirement(line).name))
    return frozenset(found)


def _with_venv(runs: Runs, base: Base) -> Runs:
    """The virtual environment is found first, and says that it is one."""
    path = runs.env.get("PATH") or environment(base.config).get("PATH") or _PATH
    first = path if f"{VENV}/bin" in path.split(":") else f"{VENV}/bin:{path}"
    return replace(runs, env={"VIRTUAL_ENV": VENV, **runs.env, "PATH": first})


def _labelled(runs: Runs, base: Base) -> Runs:
    """The base also as labels: Docker shows no annotations."""
    return replace(runs, labels={**said_of(base), **runs.labels})


def _heard(entries: Iterable[Entry], title: str, report: Report) -> Iterator[Entry]:
    """The entries, with a word at each: a build that was given up stops there."""
    for entry in entries:
        report(Progress(title, 0))
        yield entry
