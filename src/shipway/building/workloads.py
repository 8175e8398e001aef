"""From a project to recipes: which of its workloads become images, and of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shipway import detect, program
from shipway.building.asked import Asked
from shipway.errors import NotFound, UserError
from shipway.image.assemble import Runs
from shipway.image.context import LeftOut, context, entries
from shipway.image.layers import body
from shipway.image.papers.record import Input
from shipway.image.recipe import MODEL_DIR, USER, VENV, WORKDIR, Files, Model, Packages, Recipe, Step, User
from shipway.kinds import ModelJob, ModelService, Object, ResolvedModel
from shipway.oci import Descriptor
from shipway.packages.body import PACKAGE, body_requirements
from shipway.program import Program
from shipway.project import FILE, Chosen, chosen, text_of
from shipway.transfer import size

if TYPE_CHECKING:
    from shipway.image.dockerfile.build import Source

TITLE = "org.opencontainers.image.title"
VERSION = "org.opencontainers.image.version"

_GRPC_PORT = 8081
_HOST = "0.0.0.0"
_NOT_IN = ("!pylock.*.toml",)  # the lock says what is in the image, and would change it


@dataclass(frozen=True, slots=True)
class InImage:
    """A model version that goes into images of its services."""

    resolved: ResolvedModel
    version: Descriptor


@dataclass(frozen=True, slots=True)
class Planned:
    """A recipe, still without a base where none was asked for, and what its maker should know. ``source``: a Dockerfile
    has the rest to say, for each platform; ``buildah``: it does so itself."""

    recipe: Recipe
    folder: Path  # where its lock lies
    source: Source | None = None
    buildah: bool = False
    inputs: tuple[Input, ...] = ()  # what is recorded beside the recipe
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A recipe for one platform. ``pip``: variables for pip and uv, over those of the caller."""

    recipe: Recipe
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    pip: Mapping[str, str] = field(default_factory=dict)


def planned(asked: Asked, models: Mapping[str, InImage], scanned: Path) -> tuple[Planned, ...]:
    """What is to be built of a project folder. ``models`` by name; ``scanned`` remembers which files held no secret.

    Raises NotFound, InvalidObject, UserError; Refused for files that must not get in.
    """
    text, file = _text(asked.folder)
    every = chosen(text, file)
    wanted = _wanted(every, asked, file)
    _check_models(wanted, models)
    if asked.name and len(wanted) > 1:
        names = ", ".join(_key(one) for one in wanted)
        raise UserError(f"--name {asked.name} would name {len(wanted)} images: {names}", next_step="Choose: --only ...")
    services = {one.object.name for one in every if isinstance(one.object, ModelService)}
    return tuple(_planned(one, asked, file.parent, models, services, scanned) for one in wanted)


def _text(folder: Path) -> tuple[str, Path]:
    """The folder's shipway.yaml, or what ``shipway init`` would write there."""
    if folder.is_dir() and not (folder / FILE).exists():
        return detect.propose(detect.look(folder)), folder / FILE
    return text_of(folder)


def _key(one: Chosen) -> str:
    return f"{'job' if isinstance(one.object, ModelJob) else 'service'}/{one.object.name}"


def _wanted(every: Sequence[Chosen], asked: Asked, file: Path) -> tuple[Chosen, ...]:
    """Those that were named; else the services that name no image, else such jobs. Raises NotFound, UserError."""
    there = ", ".join(_key(one) for one in every)
    if not every:
        raise NotFound(
            f"{file} declares no service and no job: nothing to build",
            next_step="See `shipway init`, or docs/kinds.md.",
        )
    if not asked.only:
        without = [one for one in every if not one.object.spec.image]
        if not without:
            raise UserError(
                f"{file}: each service and job names an image of its own: nothing to build",
                next_step="Take `image` out of the file where `shipway build` should make one.",
            )
        services = tuple(one for one in without if isinstance(one.object, ModelService))
        return services or tuple(without)
    found = []
    for name in asked.only:
        kind, slash, plain = name.partition("/")
        matching = [one for one in every if plain == one.object.name and _is(one.object, kind)]
        if not slash or not matching:
            raise NotFound(f"--only {name}: {file} has no such workload", next_step=f"There are: {there}.")
        if image := matching[0].object.spec.image:
            raise UserError(
                f"--only {name}: it names the image {image}: nothing to build",
                next_step="Take `image` out of the file where `shipway build` should make one.",
            )
        found += [one for one in matching if one not in found]
    return tuple(found)


def _is(one: Object, kind: str) -> bool:
    return kind.lower() in {one.kind.lower(), one.plural, one.short_name, one.kind.removeprefix("Model").lower()}


def _check_models(wanted: Sequence[Chosen], models: Mapping[str, InImage]) -> None:
    served = {_served(one.object) for one in wanted if isinstance(one.object, ModelService)} - {""}
    for name in models:
        if name not in served:
            told = f"They serve: {', '.join(sorted(served))}." if served else "None of them serves a model."
            raise UserError(f"--model {name}: no service that is built serves a model of that name", next_step=told)


def _served(service: ModelService) -> str:
    return (service.spec.model or "").partition(":")[0]


def _planned(
    one: Chosen,
    asked: Asked,
    root: Path,
    models: Mapping[str, InImage],
    services: set[str],
    scanned: Path,
) -> Planned:
    """One workload's recipe."""
    obj = one.object
    if isinstance(obj, ModelJob):
        name, model, runs = f"{obj.name}-job" if obj.name in services else obj.name, None, program.of_job(obj)
        port, grpc = 0, False
    else:
        name, model = obj.name, models.get(_served(obj))
        runs = program.of_service(obj.name, obj.spec.template(), model.resolved if model is not None else None)
        runs = program.for_any_version(runs) if asked.any_version and obj.spec.model else runs
        port, grpc = obj.spec.port, obj.spec.server.grpc and not obj.spec.command
    found = context(root, (*one.patterns, *_NOT_IN), asked.allow, scanned=scanned) if one.patterns else None
    notes = [*(found.notes if found is not None else ()), *_notes(obj, runs, model, any_version=asked.any_version)]
    steps: list[Step] = [User(), Packages(runs.environment.requirements, body_requirements(runs.environment))]
    if runs.environment.runtime:
        steps.append(Files("shipway runtime", tuple(body.entries(PACKAGE)), body=True))
    if found is not None:
        steps.append(Files(f"code: {_counted(len(found.files))}, {size(found.size)}", tuple(entries(found, WORKDIR))))
    if model is not None:
        steps.append(Model(f"{model.resolved.name}:{model.resolved.version}", model.version))
    recipe = Recipe(
        name=asked.name or name,
        base=asked.base,
        steps=tuple(steps),
        runs=_runs(runs, asked.name or name, asked, port, grpc=grpc, model=model is not None),
        compression=asked.compression,
        bytecode=asked.bytecode,
    )
    left_out = () if found is None else found.left_out
    return Planned(recipe, root, left_out=left_out, notes=tuple(notes))


def _counted(files: int) -> str:
    return f"{files} file" if files == 1 else f"{files} files"


def _runs(runs: Program, name: str, asked: Asked, port: int, *, grpc: bool, model: bool) -> Runs:
    """What a container does; variables as docs/contract.md has them."""
    serves = {"HOST": _HOST, "PORT": str(port)} if port else {}
    if grpc:
        serves["SHIPWAY_GRPC_PORT"] = str(_GRPC_PORT)
    if runs.environment.runtime and port:
        serves["SHIPWAY_MODEL_DIR"] = MODEL_DIR
    known = {"PYTHONUNBUFFERED": "1", **serves}
    ready = runs.expanded(known)
    first, *others = ready.command
    # The interpreter by its path: a container's PATH may be set from outside.
    command = (f"{VENV}/bin/{first}" if first in ("python", "python3") else first, *others)
    version = next((one for one in asked.goals.tags if one != "latest"), "")
    return Runs(
        entrypoint=command,
        env={**known, **ready.env},
        workdir=WORKDIR,
        user=f"{USER}:{USER}",
        ports=tuple(f"{one}/tcp" for one in (port, _GRPC_PORT if grpc else 0) if one),
        labels={TITLE: name, **({VERSION: version} if version else {})},
        stop_signal="SIGTERM",
    )


def _notes(obj: ModelJob | ModelService, runs: Program, model: InImage | None, *, any_version: bool) -> tuple[str, ...]:
    """What the image has not, and its runner must give; of Shipway as its runner nobody need be told."""
    if any_version:
        return ()
    notes = [
        f"{variable} is left out, its value is a secret: give it when the image runs"
        for variable in sorted(runs.secret_env)
    ]
    if isinstance(obj, ModelService) and obj.spec.model and model is None:
        notes.append(
            f"no model is in the image: mount one at {MODEL_DIR}, or build with --model {_served(obj)}:VERSION"
        )
    return tuple(notes)
