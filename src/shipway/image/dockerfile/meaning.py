"""What the instructions of a stage mean, one after the other, once the base's variables are known. Pure.

Variables are expanded where Docker does it: in ADD, ARG, COPY, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and
WORKDIR; a RUN's by what its shell would do; CMD and ENTRYPOINT are left to the shell of the container.
Source: https://docs.docker.com/reference/dockerfile/#environment-replacement, BuildKit's ``dockerfile2llb/convert.go``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from shipway.image.assemble import Runs
from shipway.image.bases.config import environment
from shipway.image.dockerfile.pip import VENV, Asked, NotPackages
from shipway.image.dockerfile.plan import Stage, declared, expanded
from shipway.image.dockerfile.run import asks, mounts
from shipway.image.dockerfile.value import Instruction, wrong
from shipway.image.dockerfile.words import pairs

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where a base says nothing, as containers do
_SHELL = ("/bin/sh", "-c")
_OCTAL = re.compile(r"0?[0-7]{3,4}")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or ADD. ``destination`` is absolute and ends with "/" where it must be a folder; ``origin`` is a stage's
    number, an image's name, or None for the folder of the build. ``owner`` is as written, empty for root."""

    at: Instruction
    origin: int | str | None
    sources: tuple[str, ...]
    destination: str
    owner: str = ""
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """WORKDIR: the folder is made where it is not. ``owner`` is the USER that holds there."""

    at: Instruction
    path: str
    owner: str


@dataclass(frozen=True, slots=True)
class Install:
    """RUN of pip or uv. ``workdir`` is where relative names begin; ``mounted`` maps paths to files of the build's
    folder that are there for this RUN only."""

    at: Instruction
    asked: Asked
    workdir: str
    mounted: Mapping[str, str]


Step: TypeAlias = Copy | Folder | Install


@dataclass(frozen=True, slots=True)
class World:
    """What holds between two instructions. ``environment`` is the base's and that of ENV, ``runs`` what the stages
    above the base have said."""

    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    shell_form: tuple[str, ...] = _SHELL
    runs: Runs = field(default_factory=Runs)
    commanded: bool = False  # CMD stood in this stage
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def variables(self) -> Mapping[str, str]:
        return {**self.arguments, **self.environment}


def of_base(config: Mapping[str, object]) -> World:
    """What a base's config says: the part that instructions build on."""
    said = config.get("config")
    said = said if isinstance(said, dict) else {}
    notes = ("the base has ONBUILD instructions, which are not done",) if said.get("OnBuild") else ()
    return World(
        {"PATH": PATH, **environment(config)},
        shell_form=tuple(str(one) for one in said.get("Shell") or _SHELL),
        workdir=str(said.get("WorkingDir") or "/"),
        user=str(said.get("User") or ""),
        notes=notes,
    )


def meaning(stage: Stage, below: World) -> World:
    """What holds at the stage's end, with its own steps and notes. Raises UserError with the line."""
    world = replace(below, commanded=False, steps=(), notes=())
    for at in stage.section.instructions:
        world = _DOES[at.keyword](_Reading(stage, world), at)
    return world


def with_packages(world: World) -> World:
    """What is installed is found first, from here on."""
    path = world.environment.get("PATH", PATH)
    if f"{VENV}/bin" in path.split(":"):
        return _with_environment(world, {"VIRTUAL_ENV": VENV})
    return _with_environment(world, {"PATH": f"{VENV}/bin:{path}", "VIRTUAL_ENV": VENV})


def _with_environment(world: World, more: Mapping[str, str]) -> World:
    runs = replace(world.runs, env={**world.runs.env, **more})
    return replace(world, environment={**world.environment, **more}, runs=runs)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A stage at one instruction."""

    stage: Stage
    world: World

    def expand(self, at: Instruction, word: str) -> str:
        return expanded(at, word, self.world.variables, self.stage.escape)

    def pairs(self, at: Instruction) -> dict[str, str]:
        try:
            found = pairs(at.text, self.stage.escape)
        except ValueError as error:
            raise wrong(at, str(error)) from error
        return {self.expand(at, name): self.expand(at, value) for name, value in found}

    def argument(self, at: Instruction) -> World:
        known, given, common = dict(self.world.arguments), self.stage.arguments.given, self.stage.arguments.common
        for name, default in declared(at, self.stage.escape):
            value = common.get(name) if default is None else self.expand(at, default)
            if (value := given.get(name, value)) is not None:
                known[name] = value
        return replace(self.world, arguments=known)

    def command(self, at: Instruction) -> World:
        command, world = self._command(at)
        return replace(world, runs=replace(world.runs, cmd=command), commanded=True)

    def entry_point(self, at: Instruction) -> World:
        command, world = self._command(at)
        # A base's arguments were for the base's program; those of this stage are for this one.
        cmd = world.runs.cmd if world.commanded else None
        return replace(world, runs=replace(world.runs, entrypoint=command, cmd=cmd))

    def _command(self, at: Instruction) -> tuple[tuple[str, ...], World]:
        if at.words is not None:
            return at.words, self.world
        if not at.text.startswith("["):
            return (*self.world.shell_form, at.text), self.world
        note = "this is no JSON (texts need double quotes), so that a shell gets it as it stands"
        return (*self.world.shell_form, at.text), self._noted(at, note)

    def copy(self, at: Instruction) -> World:
        words = tuple(self.expand(at, one) for one in (at.text.split() if at.words is None else at.words))
        if len(words) < 2:
            raise wrong(at, "needs a source and a destination", "Write COPY requirements.txt ./")
        *sources, destination = words
        path = posixpath.join(self.world.workdir, destination)
        folder = destination.endswith(("/", "/.")) or destination in ("", ".", "..")
        into = _absolute(path).rstrip("/") + ("/" if folder else "")
        if len(sources) > 1 and not into.endswith("/"):
            raise wrong(at, f"several sources need a folder, and {destination!r} is none", f"Write {destination}/")
        mode = self.expand(at, at.flag("chmod"))
        if mode and not _OCTAL.fullmatch(mode):
            raise wrong(at, f"--chmod={mode} is not understood", "Write it as a number: --chmod=755.")
        owner = self.expand(at, at.flag("chown"))
        origin = self.stage.origins.get(at.flag("from"))
        return self._then(Copy(at, origin, tuple(sources), into, owner, int(mode, 8) if mode else None))

    def environment(self, at: Instruction) -> World:
        return _with_environment(self.world, self.pairs(at))

    def labels(self, at: Instruction) -> World:
        return self._labelled(self.pairs(at))

    def maintainer(self, at: Instruction) -> World:
        return self._labelled({"org.opencontainers.image.authors": at.text})

    def _labelled(self, more: Mapping[str, str]) -> World:
        runs = replace(self.world.runs, labels={**self.world.runs.labels, **more})
        return replace(self.world, runs=runs)

    def ports(self, at: Instruction) -> World:
        found = [port for one in at.text.split() for word in self.expand(at, one).split() for port in _ports(at, word)]
        ports = tuple(dict.fromkeys((*self.world.runs.ports, *found)))
        return replace(self.world, runs=replace(self.world.runs, ports=ports))

    def volumes(self, at: Instruction) -> World:
        words = [self.expand(at, one) for one in (at.text.split() if at.words is None else at.words)]
        volumes = tuple(dict.fromkeys((*self.world.runs.volumes, *words)))
        return replace(self.world, runs=replace(self.world.runs, volumes=volumes))

    def run(self, at: Instruction) -> World:
        try:
            asked = asks(at, self.world.variables)
        except NotPackages as error:
            raise wrong(at, f"{error}\n    {at}", error.advice) from error
        mounted = {
            _absolute(posixpath.join(self.world.workdir, target)): one.get("source") or one.get("src") or ""
            for kind, one in mounts(at)
            if kind == "bind" and (target := one.get("target") or one.get("dst") or one.get("destination"))
        }
        notes = tuple(f"{at.file}:{at.line}: {note}" for note in asked.notes)
        if any(kind == "secret" for kind, _ in mounts(at)):
            notes += (f"{at.file}:{at.line}: the secret is not read: pip's configuration of this machine counts",)
        if not (asked.requirements or asked.files or asked.into):
            return replace(self.world, notes=(*self.world.notes, *notes))
        world = self._then(Install(at, asked, self.world.workdir, mounted))
        return with_packages(replace(world, notes=(*world.notes, *notes)))

    def set_shell(self, at: Instruction) -> World:
        if not at.words:
            raise wrong(at, "needs the JSON form", 'Write SHELL ["/bin/bash", "-c"].')
        return replace(self.world, shell_form=at.words)

    def stop_signal(self, at: Instruction) -> World:
        return replace(self.world, runs=replace(self.world.runs, stop_signal=self.expand(at, at.text)))

    def user(self, at: Instruction) -> World:
        user = self.expand(at, at.text).strip()
        if not user:
            raise wrong(at, f"{at.text} is empty")
        return replace(self.world, user=user, runs=replace(self.world.runs, user=user))

    def workdir(self, at: Instruction) -> World:
        path = _absolute(posixpath.join(self.world.workdir, self.expand(at, at.text)))
        world = self._then(Folder(at, path, self.world.user))
        return replace(world, workdir=path, runs=replace(world.runs, workdir=path))

    def health(self, at: Instruction) -> World:
        return self._noted(at, "passed over: OCI images have no health check; Shipway and Kubernetes have probes")

    def trigger(self, at: Instruction) -> World:
        return self._noted(at, "passed over: OCI images have no instructions for images on top of them")

    def _then(self, step: Step) -> World:
        return replace(self.world, steps=(*self.world.steps, step))

    def _noted(self, at: Instruction, note: str) -> World:
        return replace(self.world, notes=(*self.world.notes, f"{at.file}:{at.line}: {at.keyword}: {note}"))


_DOES: Mapping[str, Callable[[_Reading, Instruction], World]] = {
    "ADD": _Reading.copy,
    "ARG": _Reading.argument,
    "CMD": _Reading.command,
    "COPY": _Reading.copy,
    "ENTRYPOINT": _Reading.entry_point,
    "ENV": _Reading.environment,
    "EXPOSE": _Reading.ports,
    "HEALTHCHECK": _Reading.health,
    "LABEL": _Reading.labels,
    "MAINTAINER": _Reading.maintainer,
    "ONBUILD": _Reading.trigger,
    "RUN": _Reading.run,
    "SHELL": _Reading.set_shell,
    "STOPSIGNAL": _Reading.stop_signal,
    "USER": _Reading.user,
    "VOLUME": _Reading.volumes,
    "WORKDIR": _Reading.workdir,
}


def _absolute(path: str) -> str:
    return "/" + posixpath.normpath(f"/{path}").strip("/")


def _ports(at: Instruction, word: str) -> list[str]:
    found = _PORT.fullmatch(word.lower())
    if found is None or not 0 < (low := int(found[1])) <= (high := int(found[2] or found[1])) <= 65_535:
        raise wrong(at, f"{word!r} is no port", "Write 8080, 8080/udp or 8000-8005.")
    return [f"{port}/{found[3] or 'tcp'}" for port in range(low, high + 1)]
