"""``shipway image ls``: the images of this home, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from shipway.building.images.listed import images
from shipway.cli.image.named import place
from shipway.cli.image.text import table
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.transfer import size

_SHORT = len("sha256:") + 12


@click.command()
@click.option("--bases", is_flag=True, help="Also the bases that were made here.")
@read_output
def ls(bases: bool, output: str) -> None:
    """List images. SIZE is what travels, OWN what no other image here has too."""
    listed = images(place().layout, bases=bases)
    emit(listed, output, _table(listed, wide=output == "wide"))


def _table(listed: Sequence[Mapping[str, Any]], *, wide: bool) -> str:
    if not listed:
        return "no images here yet: shipway build"
    header = ("NAME", "TAG", "DIGEST", "PLATFORMS", "SIZE", "OWN", "BASE")
    rows = [
        (
            one["name"],
            one["tag"] or "-",
            one["digest"] if wide else one["digest"][:_SHORT],
            one["problem"] or ", ".join(one["platforms"]),
            "-" if one["problem"] else size(one["size"]),
            "-" if one["problem"] else size(one["own"]),
            (one["base"] and one["base"]["name"]) or "-",
            ", ".join(one["pushed"]) or "-",
        )
        for one in listed
    ]
    rows = [(*header, "PUSHED"), *rows]
    return table(rows if wide else [row[: len(header)] for row in rows])
