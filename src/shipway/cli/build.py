"""``shipway build``: from a folder to container images, without a daemon and without a hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from shipway import settings
from shipway.building.asked import Asked, Dockerfile, Goals
from shipway.building.build import build as built
from shipway.building.place import Place
from shipway.building.told import told
from shipway.cli.options import act_output
from shipway.cli.output import aligned, emit
from shipway.cli.shown import shown
from shipway.errors import UserError
from shipway.image.platform import Platform
from shipway.transfer import size

_PATH = click.Path(path_type=Path)
_NAMED = 5  # files that were left out
_WIDEST = 60  # characters of what is in a layer


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=_PATH)
@click.option("--only", multiple=True, metavar="KIND/NAME", help="Only this workload; may be repeated.")
@click.option("--name", default="", help="Call the image so, and not as its workload.")
@click.option("--tag", "tags", multiple=True, help="Tag it so; may be repeated.  [default: latest]")
@click.option("--model", "models", multiple=True, metavar="NAME[:VERSION]", help="Put that version into the image.")
@click.option("--base", default="", metavar="REF", help="Stand on it: NAME:TAG, oci:PATH, tar:FILE, debian:bookworm.")
@click.option("--platform", "platforms", multiple=True, metavar="linux/ARCH", help="For amd64, arm64, or both.")
@click.option("--locked", is_flag=True, help="Fail when the lock would change.")
@click.option("--upgrade", is_flag=True, help="Choose base and packages anew.")
@click.option("--push", is_flag=False, flag_value="", metavar="[REF]", help="Push it there, or to $SHIPWAY_REGISTRY.")
@click.option("--tar", "archive", type=_PATH, metavar="FILE", help="Write it to an OCI archive as well.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@click.option("--allow", multiple=True, metavar="PATH", help="Let it in, though it is large or looks like a secret.")
@click.option("--compression", type=click.Choice(["zstd", "gzip"]), default="zstd", show_default=True)
@click.option("--bytecode/--no-bytecode", default=False, help="Compile packages: a faster start, a larger image.")
@click.option("-f", "--file", "dockerfile", type=_PATH, metavar="FILE", help="Build as this Dockerfile says.")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Of a Dockerfile's ARG.")
@click.option("--target", default="", metavar="STAGE", help="Of a Dockerfile: the stage to build.")
@click.option("--with", "helper", type=click.Choice(["buildah"]), help="Hand a Dockerfile that needs a shell to it.")
@click.option("--courier", is_flag=True, help="Build Shipway itself, Envoy included.")
@act_output
def build(folder: Path, output: str, **said: Any) -> None:
    """Build the services of DIR as container images; of a folder that has none, its jobs.

    Images lie in the home; `podman run` takes them from there. What did not change is not made again, and equal
    inputs make an equal digest.
    """
    with shown(output) as report:
        made = built(_asked(folder, said), Place(settings.read()), settings.inherited(), report)
    images = [told(one) for one in made]
    emit({"images": images}, output, "\n\n".join(map(_text, images)))


def _asked(folder: Path, said: Mapping[str, Any]) -> Asked:
    """The options as a value. Raises UserError for those that contradict each other."""
    if said["locked"] and said["upgrade"]:
        raise UserError("--locked and --upgrade contradict each other", next_step="Leave out one of the two.")
    for option in ("arguments", "target", "helper"):
        if said[option] and said["dockerfile"] is None:
            names = {"arguments": "--build-arg", "target": "--target", "helper": "--with"}
            raise UserError(f"{names[option]} belongs to a Dockerfile", next_step="Name it: -f Dockerfile.")
    goals = Goals(said["push"], said["tags"], said["archive"], plain_http=said["plain_http"] or None)
    return Asked(
        folder,
        only=said["only"],
        name=said["name"],
        base=said["base"],
        platforms=tuple(Platform.parse(one) for one in said["platforms"]),
        mode="locked" if said["locked"] else "upgrade" if said["upgrade"] else "keep",
        models=said["models"],
        compression=said["compression"],
        bytecode=said["bytecode"],
        allow=said["allow"],
        dockerfile=_dockerfile(said),
        courier=said["courier"],
        goals=goals,
    )


def _dockerfile(said: Mapping[str, Any]) -> Dockerfile | None:
    if said["dockerfile"] is None:
        return None
    arguments: dict[str, str] = {}
    for one in said["arguments"]:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise UserError(f"--build-arg {one}: it is NAME=VALUE")
        arguments[name] = value
    return Dockerfile(said["dockerfile"], arguments, said["target"], with_buildah=said["helper"] == "buildah")


def _text(one: Mapping[str, Any]) -> str:
    """For people: what it is, what is in it, what was left out, and how it is run."""
    lines = [f"{', '.join(one['names'])}  {one['digest']}"]
    for part in one["platforms"]:
        base = one["base"]
        above = f" beyond {base['name']} ({size(part['baseSize'])}, Python {part['python']})" if base else ""
        lines.append(f"{part['platform']}: {size(part['size'])}{above}")
        rows = [
            (f"  {size(layer['size'])}", "cached" if layer["cached"] else "new", _short(layer["what"]))
            for layer in part["layers"]
        ]
        lines.append(aligned(rows))
    if left := one["leftOut"]:
        names = ", ".join(f"{file['name']} ({file['why']})" for file in left[:_NAMED])
        lines.append(f"left out: {names}" + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""))
    lines += [f"note: {note}" for note in one["notes"]]
    lines += [f"is at {place}" for place in one["places"]]
    return "\n".join([*lines, f"run it: {one['run']}"])


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
