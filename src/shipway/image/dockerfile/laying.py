"""Lays the stages of a Dockerfile, one after the other: what stands where, and the layers that come of it."""

from __future__ import annotations

import posixpath
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from shipway.errors import NotFound, Refused
from shipway.image.bases import Base, Image
from shipway.image.dockerfile import owners
from shipway.image.dockerfile.copying import Placed, placed
from shipway.image.dockerfile.folder import FolderOrigin
from shipway.image.dockerfile.ground import Ground, Origin
from shipway.image.dockerfile.meaning import Copy, Folder, Install, World
from shipway.image.dockerfile.packages import brought
from shipway.image.dockerfile.pip import Asked
from shipway.image.dockerfile.plan import Stage
from shipway.image.dockerfile.requirements import Reader
from shipway.image.dockerfile.value import wrong
from shipway.image.layer import Entry
from shipway.image.platform import Platform
from shipway.image.recipe import Files
from shipway.image.view import View

_LARGEST_TEXT = 1 << 20  # bytes of a requirements file, of /etc/passwd


@dataclass(frozen=True, slots=True)
class Made:
    """A stage, laid. ``installs``: a RUN of pip stood in it, or came along; ``asked`` has nothing in files."""

    base: Image
    world: World
    ground: Ground
    files: tuple[Files, ...] = ()
    asked: Asked = field(default_factory=Asked)
    notes: tuple[str, ...] = ()
    installs: bool = False


class Laying:
    """The stages of one build. Blocking."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        images: Mapping[tuple[str, Platform], Image],
        views: Mapping[tuple[str, Platform], View],
        worlds: Mapping[int, World],
        folder: FolderOrigin,
        room: Path,
    ) -> None:
        """``room``: where files of other images are copied to."""
        self._stages, self._images, self._views, self._worlds = stages, images, views, worlds
        self._folder, self._room = folder, room
        self._made: dict[int, Made] = {}
        self._taken = 0  # files in the room

    def target(self) -> Made:
        """The last stage. Raises UserError and NotFound with file and line, Refused, Corrupt."""
        for stage in self._stages:
            self._made[stage.number] = self._laid(stage)
        return self._made[self._stages[-1].number]

    def _laid(self, stage: Stage) -> Made:
        world = self._worlds[stage.number]
        if isinstance(stage.parent, int):
            below = self._made[stage.parent]
            made = replace(below, world=world, ground=below.ground.copy())
        else:
            key = (stage.parent, stage.platform)
            made = Made(self._images[key], world, Ground(self._views[key], {}))
        waiting: list[Entry] = []  # folders of WORKDIR: the next COPY's layer has them
        for step in world.steps:
            match step:
                case Folder():
                    waiting += self._workdir(step, made.ground)
                case Install():
                    made = replace(made, asked=made.asked + self._gathered(step, made.ground), installs=True)
                case Copy():
                    made = self._with_packages(step, made)
                    entries = [*waiting, *self._copied(step, stage, made.ground)]
                    made, waiting = replace(made, files=(*made.files, *_files(str(step.at), entries))), []
        return replace(made, files=(*made.files, *_files(f"WORKDIR {world.workdir}", waiting)))

    def _workdir(self, step: Folder, ground: Ground) -> list[Entry]:
        try:
            owner = owners.numbers(step.owner, lambda name: _text(ground, name))
        except ValueError:  # only a container can say who that is; BuildKit takes root, too
            owner = 0, 0
        name, entries = ground.resolve(step.path), []
        while name:
            found = ground.find(name)
            if found is None:
                entries.append(Entry(name, "folder", owner=owner))
            elif found.kind != "folder":
                raise wrong(step.at, f"/{name} is a {found.kind} in the image")
            name = posixpath.dirname(name)
        ground.place(entries)
        return entries

    def _gathered(self, step: Install, ground: Ground) -> Asked:
        def text(path: str) -> str:
            mounted = _mounted(step, path)
            found = ground.find(path) if mounted is None else self._folder.find(mounted)
            if found is None or found.kind != "file":
                name = posixpath.basename(path)
                raise wrong(step.at, f"{path} is not in the image yet", f"COPY it before: COPY {name} {path}")
            try:
                content = found.content.read_bytes() if isinstance(found.content, Path) else None
                return (ground.read(path, _LARGEST_TEXT) if content is None else content).decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise wrong(step.at, f"{path} cannot be read as UTF-8: {error}", "Save it as UTF-8.") from error

        return Reader(step, text).gathered()

    def _with_packages(self, step: Copy, made: Made) -> Made:
        """The stage with the packages of the one that it copies from, when the COPY names their place."""
        if not self._brought(step)[0]:
            return made
        other = next(one for one in self._stages if one.number == step.origin)
        note = f"{step.at.file}:{step.at.line}: the packages of stage {other.title} come along, in /opt/venv"
        asked = made.asked + self._made[other.number].asked
        return replace(made, asked=asked, installs=True, notes=(*made.notes, note))

    def _brought(self, step: Copy) -> tuple[bool, bool]:
        other = self._made[step.origin] if isinstance(step.origin, int) else None
        if other is None or not other.installs or not isinstance(other.base, Base):
            return False, False
        return brought(step.sources, other.asked, other.base.python, other.world)

    def _copied(self, step: Copy, stage: Stage, ground: Ground) -> list[Entry]:
        try:
            owner = owners.numbers(step.owner, lambda name: _text(ground, name))
        except ValueError as error:
            raise wrong(step.at, f"--chown={step.owner}: {error}") from error
        origin, may_lack = self._origin(step, stage)
        found = placed(step, origin, ground, may_lack=may_lack)
        if step.at.keyword == "ADD":
            _refuse_archives(step, found)
        files = [one.found for one in found if one.found is not None and one.found.kind == "file"]
        taken = self._contents(origin, [one.path for one in files if one.content is None])
        entries = [_entry(one, owner, step.mode, taken) for one in found]
        ground.place(entries)
        return entries

    def _origin(self, step: Copy, stage: Stage) -> tuple[Origin, bool]:
        if step.origin is None:
            return self._folder, False
        if isinstance(step.origin, str):
            return Ground(self._views[step.origin, stage.platform], {}), False
        other = self._made[step.origin]
        # What pip would have put there stands in /opt/venv, and what the base has there this one's base has, too.
        return (other.ground.own(), True) if self._brought(step)[1] else (other.ground, False)

    def _contents(self, origin: Origin, paths: Iterable[str]) -> Mapping[str, Path]:
        """Files that are in layers still, copied into the room."""
        wanted = list(dict.fromkeys(paths))
        taken: dict[str, Path] = {}
        if not wanted or not isinstance(origin, Ground):
            return taken
        for path, content in origin.contents(wanted):
            self._taken += 1
            taken[path] = self._room / f"taken-{self._taken}"
            with taken[path].open("xb") as out:
                shutil.copyfileobj(cast("BinaryIO", content), out)
        return taken


def _mounted(step: Install, path: str) -> str | None:
    """Which file of the build's folder stands at the path for this RUN only."""
    for target, source in step.mounted.items():
        if f"{path}/".startswith(f"{target.rstrip('/')}/"):
            return posixpath.normpath(f"/{source}/{path[len(target) :]}").strip("/")
    return None


def _entry(one: Placed, owner: tuple[int, int], mode: int | None, taken: Mapping[str, Path]) -> Entry:
    found = one.found
    if found is None:
        return Entry(one.name, "folder", owner=owner)
    mode = found.mode if mode is None else mode
    if found.kind == "folder":
        return Entry(one.name, "folder", owner=owner, mode=mode)
    if found.kind == "link":
        return Entry(one.name, "link", target=found.target, owner=owner)
    content = taken[found.path] if found.content is None else found.content
    return Entry(one.name, "file", content, found.executable, owner=owner, mode=mode)


def _refuse_archives(step: Copy, found: Iterable[Placed]) -> None:
    for one in found:
        path = one.found.content if one.named and one.found else None
        if isinstance(path, Path) and (tarfile.is_tarfile(path) or _is_zstd(path)):
            name = one.found.path if one.found else one.name
            raise Refused(
                wrong(step.at, f"{name} is an archive, which Docker would unpack").message,
                next_step="Unpack it beside the Dockerfile and COPY the folder; COPY takes the archive as it is.",
            )


def _is_zstd(path: Path) -> bool:
    """Docker unpacks such an archive, too; tarfile of Python 3.11 does not know it."""
    with path.open("rb") as file:
        return file.read(4) == b"\x28\xb5\x2f\xfd"


def _files(title: str, entries: Iterable[Entry]) -> tuple[Files, ...]:
    """One layer, none of nothing. An entry that comes twice counts once, the later."""
    found = {one.name: one for one in entries}
    return (Files(title, tuple(found[name] for name in sorted(found))),) if found else ()


def _text(ground: Ground, name: str) -> str:
    try:
        return ground.read(name, _LARGEST_TEXT).decode("utf-8", "replace")
    except NotFound:
        return ""
