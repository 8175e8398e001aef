"""``shipway build``: what a folder declares becomes images of the home, and goes where it is to go."""

from __future__ import annotations

import asyncio
import platform as machine
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from shipway.building.asked import Asked, Goals
from shipway.building.courier import courier
from shipway.building.place import Place
from shipway.building.tools import Tools
from shipway.building.workloads import InImage, Planned, Ready, planned
from shipway.errors import Corrupt, UserError
from shipway.image.bases.names import parse
from shipway.image.build import Builder, Built
from shipway.image.locking import LockFolder
from shipway.image.names import tag_of
from shipway.image.platform import Platform
from shipway.image.publish import Archived, Publisher, Tagged, Tee
from shipway.image.several import Image, joined
from shipway.oci import Digest, Layout, disk
from shipway.oci.reference import Reference
from shipway.oci.scratch import scratch
from shipway.oci.tree import blobs
from shipway.transfer import Report

# What most builds do without is imported when it is needed: a rebuild has a second in all, most of it for imports.
_DOCKER = "shipway.building.docker"
_MODELS = "shipway.building.models"
_PUSHING = "shipway.image.pushing"

_BASE = "docker.io/library/python:{}.{}-slim"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An image that was built. ``places`` say where it is, for other programs: in the layout, in an archive, in
    registries with its digest; ``cached`` which of its layers were there before."""

    planned: Planned
    image: Image
    names: tuple[str, ...]  # "digits:latest"
    places: tuple[str, ...]
    cached: frozenset[Digest]
    lock: Path


def build(asked: Asked, place: Place, inherited: Mapping[str, str], report: Report) -> tuple[Outcome, ...]:
    """Build all, then publish all: when one cannot be built, what was there before keeps its name. Needs no hub.

    Raises UserError, NotFound and Refused for what the project, its locks or the options say; DependencyFailed,
    EnvironmentFault, Corrupt; what :class:`Registry` raises.
    """
    return asyncio.run(_build(asked, place, inherited, report))


async def _build(asked: Asked, place: Place, inherited: Mapping[str, str], report: Report) -> tuple[Outcome, ...]:
    _make_private(place)
    plans = _plans(asked, place)
    targets = _targets(asked.goals, plans, place)
    with place.layout.lease(f"build {', '.join(one.recipe.name for one in plans)}") as lease:
        tools = Tools(place, lease, report, inherited, asked.goals.plain_http)
        made = [await _made(plan, asked, tools) for plan in plans]
        return tuple([await _published(one, asked.goals, targets, tools) for one in made])


def _make_private(place: Place) -> None:
    """The folders of the cache that hold others: who makes a path at once leaves those on the way open to others."""
    with disk.faults(f"make {place.cache}"):
        for folder in (place.where.home, place.where.cache, place.cache, place.cache / "layers"):
            folder.mkdir(mode=0o700, parents=folder == place.where.home, exist_ok=True)


def _plans(asked: Asked, place: Place) -> tuple[Planned, ...]:
    if asked.courier:
        return (courier(asked, place),)
    if asked.dockerfile is not None:
        described: Planned = import_module(_DOCKER).described(asked, asked.dockerfile)
        return (described,)
    return planned(asked, _models(asked, place), place.cache / "scanned")


def _models(asked: Asked, place: Place) -> Mapping[str, InImage]:
    """The versions that are named, by model. Raises NotFound, UserError."""
    versions: dict[str, InImage] = {}
    for reference in asked.models:
        name = reference.partition(":")[0]
        if name in versions:
            raise UserError(f"--model {reference}: a version of {name} is named already", next_step="An image has one.")
        versions[name] = import_module(_MODELS).found(place.layout, reference)
    return versions


def _targets(goals: Goals, plans: Sequence[Planned], place: Place) -> Mapping[str, Reference]:
    """Where in registries each is to go, by the recipe's name. What is wrong with the options is said before anything
    is built. Raises UserError."""
    for one in plans:
        for name in _names(one, goals):
            tag_of(name)
    several = ", ".join(one.recipe.name for one in plans)
    for option, given in (("--push", goals.push), ("--tar", goals.archive)):
        if given and len(plans) > 1:
            raise UserError(
                f"{option} {given} would be the place of {len(plans)} images: {several}",
                next_step="Choose one with --only, or set SHIPWAY_REGISTRY and say --push alone.",
            )
    if goals.push is None:
        return {}
    if not goals.push and not place.where.registry:
        raise UserError(
            "--push names no registry, and SHIPWAY_REGISTRY is not set",
            next_step=f"Say where: --push HOST/{plans[0].recipe.name}, or export SHIPWAY_REGISTRY=HOST/TEAM.",
        )
    prefix = place.where.registry.rstrip("/")
    return {one.recipe.name: Reference.parse(goals.push or f"{prefix}/{one.recipe.name}") for one in plans}


def _names(plan: Planned, goals: Goals) -> tuple[str, ...]:
    return tuple(f"{plan.recipe.name}:{tag}" for tag in dict.fromkeys(goals.tags or ("latest",)))


@dataclass(frozen=True, slots=True)
class _Made:
    plan: Planned
    image: Image
    lock: Path


async def _made(plan: Planned, asked: Asked, tools: Tools) -> _Made:
    """One image, for all of its platforms."""
    platforms = tuple(dict.fromkeys(asked.platforms)) or (_here(),)
    locks = tools.locks(plan.folder, asked.mode)
    made: list[Built] = []
    notes = [*plan.notes]
    left_out = [*plan.left_out]
    with scratch(tools.room) as room:
        for platform in platforms:
            builder, ready = await _ready(plan, platform, locks, tools, room)
            notes += ready.notes
            left_out += ready.left_out
            made.append(await builder.build(ready.recipe, platform))
    plan = replace(plan, notes=tuple(dict.fromkeys(notes)), left_out=tuple(dict.fromkeys(left_out)))
    return _Made(plan, joined(made, tools.place.layout, tools.lease), locks.path(plan.recipe.name))


async def _ready(
    plan: Planned, platform: Platform, locks: LockFolder, tools: Tools, room: Path
) -> tuple[Builder, Ready]:
    """Who builds for a platform, and what: a recipe with its base named in full."""
    if plan.buildah:
        handed: Builder = import_module(_DOCKER).ByBuildah(plan.source, tools, room)
        return handed, Ready(plan.recipe)
    if plan.source is None:
        named = plan.recipe.base or locks.base_name(plan.recipe.name) or tools.place.where.base
        base, _ = parse(named or _BASE.format(*sys.version_info))
        ready = Ready(replace(plan.recipe, base=base))
    else:
        ready = await import_module(_DOCKER).ready(plan.source, platform, _here(), locks, tools, room)
    return tools.builder(locks.using(tools.resolver(ready.pip)), ready.pip, plan), ready


def _here() -> Platform:
    return Platform.of_machine(machine.machine())


async def _published(made: _Made, goals: Goals, targets: Mapping[str, Reference], tools: Tools) -> Outcome:
    layout, names = tools.place.layout, _names(made.plan, goals)
    known = _known(layout, tag_of(names[0]))
    publishers: list[Publisher] = [Tagged(layout)]
    if goals.archive is not None:
        publishers.append(Archived(layout, goals.archive, tools.report))
    if target := targets.get(made.plan.recipe.name):
        publishers.append(import_module(_PUSHING).Pushed(layout, tools.registry, target, tools.report))
    places = [place for name in names for place in await Tee(publishers).publish(name, made.image.descriptor)]
    cached = frozenset(known | tools.hits.digests)
    return Outcome(made.plan, made.image, names, tuple(dict.fromkeys(places)), cached, made.lock)


def _known(layout: Layout, tag: str) -> set[Digest]:
    """What the image of before is made of; a damaged one must not stand in the way of the next."""
    before = layout.tags().get(tag)
    try:
        return {one.digest for one in blobs(layout, before)} if before is not None else set()
    except Corrupt:
        return set()
