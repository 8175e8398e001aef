"""A Dockerfile as something to build: what it says is found out for each platform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shipway import detect
from shipway.building.asked import Asked, Dockerfile
from shipway.building.tools import Tools
from shipway.building.workloads import Planned, Ready
from shipway.errors import NotFound, UserError
from shipway.image.build import Built
from shipway.image.buildah import Buildah
from shipway.image.dockerfile.build import Source, prepared
from shipway.image.dockerfile.build import Tools as Inner
from shipway.image.dockerfile.parse import LARGEST, parse
from shipway.image.layer import Layer
from shipway.image.locking import LockFolder
from shipway.image.papers.record import Input
from shipway.image.platform import Platform
from shipway.image.recipe import Recipe
from shipway.oci import Digest


def described(asked: Asked, by: Dockerfile) -> Planned:
    """The folder as the Dockerfile says. Raises NotFound, and UserError with the line for what cannot be read."""
    for option, given in (("--base", asked.base), ("--model", asked.models), ("--only", asked.only)):
        if given:
            raise UserError(
                f"{option} and -f: the Dockerfile says what the image is made of", next_step="Leave out one of the two."
            )
    data = _read(by.path)
    name = asked.name or detect.object_name(asked.folder.resolve().name)
    recipe = Recipe(name, "", compression=asked.compression, bytecode=asked.bytecode)
    source = Source(
        parse(data.decode(), str(by.path)),
        asked.folder,
        name,
        arguments=by.arguments,
        target=by.target,
        allow=asked.allow,
        compression=asked.compression,
        bytecode=asked.bytecode,
    )
    return Planned(recipe, asked.folder, source, by.with_buildah, (Input("Dockerfile", Digest.of(data)),))


async def ready(
    source: Source, platform: Platform, here: Platform, locks: LockFolder, tools: Tools, room: Path
) -> Ready:
    """What it says for a platform. Raises what :func:`prepared` does."""
    layout, lease, report = tools.place.layout, tools.lease, tools.report
    with_what = Inner(tools.bases, layout, lease, report, room, tools.place.cache, here, locks.base)
    found = await prepared(source, platform, with_what)
    return Ready(found.recipe, found.notes, found.left_out, found.pip)


@dataclass(frozen=True, slots=True)
class ByBuildah:
    """A builder that hands the Dockerfile to buildah. What is in the image nobody knows then: it has no papers."""

    source: Source
    tools: Tools
    room: Path

    async def build(self, recipe: Recipe, platform: Platform) -> Built:
        """See :class:`Builder`. Raises what :meth:`Buildah.build` does."""
        tools = self.tools
        program = Buildah(tools.bases, tools.lease, tools.report, tools.place.cache, self.room, tools.inherited)
        image = await program.build(self.source, platform)
        diff_ids = (image.config.get("rootfs") or {}).get("diff_ids") or ()
        layers = tuple(Layer(one, Digest(said), "buildah") for one, said in zip(image.layers, diff_ids, strict=True))
        return Built(recipe, image.manifest, platform, None, layers)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        data.decode()
    except FileNotFoundError:
        raise NotFound(f"there is no {path}", next_step="Name the Dockerfile: -f PATH.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    if len(data) > LARGEST:
        raise UserError(f"{path} has more than {LARGEST} bytes", next_step="Is it a Dockerfile?")
    return data
