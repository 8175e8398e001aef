"""``shipway image rm``: images go away."""

from __future__ import annotations

import click

from shipway.building.images.moved import removed
from shipway.cli.image.named import IMAGE, place
from shipway.cli.options import act_output
from shipway.cli.output import emit


@click.command()
@click.argument("images", metavar="IMAGE...", type=IMAGE, nargs=-1, required=True)
@act_output
def rm(images: tuple[str, ...], output: str) -> None:
    """Remove images by name (NAME is NAME:latest; bases as `image ls --bases` names them).

    The bytes go with `shipway gc`; what was pushed stays in its registry.
    """
    gone = removed(place(), images)
    emit(gone, output, "\n".join(f"{one['name']} is removed ({one['digest']})" for one in gone))
