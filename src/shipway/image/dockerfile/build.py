"""From a Dockerfile to a recipe for one platform. Nothing of the Dockerfile is run.

Packages of all RUNs are chosen together, and become layers below those of COPY: they lie in a folder of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from shipway.image.bases import Base, Image, names
from shipway.image.build import BaseSource
from shipway.image.context import LeftOut
from shipway.image.dockerfile.folder import FolderOrigin, patterns
from shipway.image.dockerfile.laying import Laying
from shipway.image.dockerfile.meaning import World, meaning, of_base
from shipway.image.dockerfile.packages import in_environment, pip_variables, terms
from shipway.image.dockerfile.plan import Stage, plan, root, unused
from shipway.image.dockerfile.value import Dockerfile
from shipway.image.layer import Compression
from shipway.image.platform import Platform
from shipway.image.recipe import Packages, Recipe
from shipway.image.view import View
from shipway.oci import Digest, Layout
from shipway.oci.cancelling import in_thread
from shipway.oci.leases import Lease
from shipway.transfer import Report


@dataclass(frozen=True, slots=True)
class Source:
    """What is built: a Dockerfile that was read, the folder that its COPYs speak of, and what was asked beside."""

    dockerfile: Dockerfile
    folder: Path
    name: str  # of the image and its lock
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    allow: tuple[str, ...] = ()
    compression: Compression = "zstd"
    bytecode: bool = False


class ImageSource(Protocol):
    """Where images come from that need no Python."""

    async def image(self, name: str, platform: Platform, lease: Lease, report: Report) -> Image:
        """The image of that name, to take files out of it."""
        ...


class Sources(BaseSource, ImageSource, Protocol):
    """Where bases come from, and other images."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What it is built with. ``room`` must stay until the recipe is built: files of other images are copied there.
    ``pinned`` says which digest the lock has for the base; ``cache`` is HOME/cache/image."""

    bases: Sources
    layout: Layout
    lease: Lease
    report: Report
    room: Path
    cache: Path
    here: Platform
    pinned: Callable[[Recipe, Platform], Digest | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recipe for that one platform. ``pip``: variables for pip and uv that the Dockerfile's options stand for
    (``PIP_INDEX_URL``); they go over those of the caller."""

    recipe: Recipe
    notes: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    pip: Mapping[str, str]


async def prepared(source: Source, platform: Platform, tools: Tools) -> Prepared:
    """The recipe. Raises UserError and NotFound with file and line, Refused with all lines that cannot be done here
    and for files that must not get into an image, and what :class:`BaseSource` raises."""
    stages = plan(source.dockerfile, source.arguments, source.target, platform, tools.here)
    images = await _images(source, stages, tools)
    worlds = _worlds(stages, images)
    return await in_thread(lambda _: _prepared(source, stages, images, worlds, tools), tools.report)


def _prepared(
    source: Source,
    stages: tuple[Stage, ...],
    images: Mapping[tuple[str, Platform], Image],
    worlds: Mapping[int, World],
    tools: Tools,
) -> Prepared:
    chosen = patterns(source.folder, [step for world in worlds.values() for step in world.steps])
    name = source.dockerfile.name
    folder = FolderOrigin.read(source.folder, chosen, source.allow, name, tools.cache / "scanned")
    views = {key: View(tools.layout, base.layers, tools.cache / "views") for key, base in images.items()}
    made = Laying(stages, images, views, worlds, folder, tools.room).target()
    assert isinstance(made.base, Base)  # the target's was asked for as one
    runs, replaced = in_environment(made.world, made.base.python, made.ground, made.asked)
    lines, told = terms(made.asked)
    packages = Packages(made.asked.requirements, sees_base=not made.asked.isolated, terms=lines)
    steps = (packages,) if made.installs else ()
    notes = [note for world in worlds.values() for note in world.notes]
    notes += [*made.notes, *told, *folder.notes, *replaced, *_about_user(made.world)]
    notes += [f"--build-arg {one}: no ARG asks for it" for one in unused(source.dockerfile, source.arguments)]
    return Prepared(
        Recipe(source.name, made.base.name, (*steps, *made.files), runs, source.compression, source.bytecode),
        tuple(dict.fromkeys(notes)),
        folder.left_out,
        pip_variables(lines, tools.room),
    )


async def _images(source: Source, stages: tuple[Stage, ...], tools: Tools) -> Mapping[tuple[str, Platform], Image]:
    """Every image that a stage begins with or copies from. Only the target's base is the lock's, and only where
    packages are asked for must there be a Python."""
    roots = {root(stages, one) for one in (stages[-1], *(one for one in stages if _installs(one)))}
    locked = root(stages, stages[-1])
    found: dict[tuple[str, Platform], Image] = {}
    for stage in stages:
        for name in (stage.parent, *stage.origins.values()):
            if isinstance(name, int) or (key := (name, stage.platform)) in found:
                continue
            if key not in roots:
                found[key] = await tools.bases.image(name, stage.platform, tools.lease, tools.report)
                continue
            recipe = Recipe(source.name, names.parse(name)[0])
            digest = tools.pinned(recipe, stage.platform) if key == locked else None
            found[key] = await tools.bases.get(name, stage.platform, tools.lease, tools.report, digest=digest)
    return found


def _installs(stage: Stage) -> bool:
    return any(at.keyword == "RUN" for at in stage.section.instructions)


def _worlds(stages: Iterable[Stage], images: Mapping[tuple[str, Platform], Image]) -> Mapping[int, World]:
    worlds: dict[int, World] = {}
    for stage in stages:
        parent = stage.parent
        below = worlds[parent] if isinstance(parent, int) else of_base(images[parent, stage.platform].config)
        world = meaning(stage, below)
        # A note on the base is said once, by the stage that stands on it.
        worlds[stage.number] = world if isinstance(parent, int) else replace(world, notes=(*below.notes, *world.notes))
    return worlds


def _about_user(world: World) -> tuple[str, ...]:
    if world.user.partition(":")[0] not in ("", "0", "root"):
        return ()
    return ("the image runs as root, for no USER says otherwise: write USER 10001 before CMD",)
