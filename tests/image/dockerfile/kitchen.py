"""A made-up base and a folder, and the recipe that a Dockerfile gives with them: nothing is resolved or downloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipway.image.bases import Base, Image
from shipway.image.dockerfile.build import Prepared, Source, Tools, prepared
from shipway.image.dockerfile.parse import parse
from shipway.image.layer import Entry
from shipway.image.platform import Platform
from shipway.image.recipe import Files, Packages
from shipway.oci import Digest, Layout
from shipway.oci.leases import Lease
from shipway.transfer import Report, silent
from tests.image import made_base

AMD64 = Platform("amd64")


Members = Mapping[str, str | made_base.Made]


@dataclass
class Pantry:
    """A layout, and the made-up images in it: made once for all tests, for each blob waits for the disk."""

    layout: Layout
    known: dict[str, Base] = field(default_factory=dict)

    def base(self, name: str, platform: Platform, files: Members) -> Base:
        key = repr((platform, files))
        if key not in self.known:
            self.known[key] = made_base.synthetic_base(self.layout, platform, files=files)
        return replace(self.known[key], name=name)


@dataclass
class FakeBases:
    """Every image is the same made-up one, with a Python; ``asked`` are the names, in order."""

    pantry: Pantry
    files: Members = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    without_python: list[str] = field(default_factory=list)

    async def get(
        self, name: str, platform: Platform, lease: Lease, report: Report, *, digest: Digest | None = None
    ) -> Base:
        self.asked.append(name)
        return self.pantry.base(name, platform, self.files)

    async def image(self, name: str, platform: Platform, lease: Lease, report: Report) -> Image:
        self.without_python.append(name)
        return self.pantry.base(name, platform, self.files)


@dataclass
class Kitchen:
    """``folder`` is the build's; ``prepare`` gives what a Dockerfile's text makes of it."""

    root: Path
    pantry: Pantry

    def __post_init__(self) -> None:
        self.folder = self.root / "folder"
        self.folder.mkdir()
        self.layout = self.pantry.layout
        self.bases = FakeBases(self.pantry)
        self._rooms = 0

    def put(self, **texts: str) -> None:
        self.write(texts)

    def write(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def prepare(
        self, text: str, *, arguments: Mapping[str, str] | None = None, target: str = "", platform: Platform = AMD64
    ) -> Prepared:
        (self.folder / "Dockerfile").write_text(text)
        self._rooms += 1
        room = self.root / f"room-{self._rooms}"
        room.mkdir()
        source = Source(parse(text, "Dockerfile"), self.folder, "app", arguments or {}, target)

        async def made() -> Prepared:
            with self.layout.lease("test") as lease:
                tools = Tools(
                    self.bases, self.layout, lease, silent, room, self.root / "cache", AMD64, lambda recipe, on: None
                )
                return await prepared(source, platform, tools)

        return asyncio.run(made())


def entries(made: Prepared) -> dict[str, Entry]:
    """What all layers of files show together."""
    return {one.name: one for step in made.recipe.steps if isinstance(step, Files) for one in step.entries}


def files(made: Prepared) -> list[str]:
    """The names of files and links, sorted."""
    return sorted(name for name, one in entries(made).items() if one.kind != "folder")


def asked(made: Prepared) -> tuple[str, ...]:
    """The requirements, none without a step for packages."""
    return next((step.asked for step in made.recipe.steps if isinstance(step, Packages)), ())


def content(made: Prepared, name: str) -> bytes:
    found = entries(made)[name].content
    return found.read_bytes() if isinstance(found, Path) else found
