"""``shipway image sbom``: what is in an image, for people and for scanners."""

from __future__ import annotations

import click

from shipway.building.images.billed import billed, listed
from shipway.building.images.opened import opened
from shipway.cli.image.named import IMAGE, place, plain_http, platform
from shipway.cli.image.text import table
from shipway.cli.shown import shown

_FORMATS = ("cyclonedx", "table", "json")
_KEYS = ("name", "version", "kind", "licence", "purl")
_HEADER = tuple(one.upper() for one in _KEYS)


@click.command()
@click.argument("image", type=IMAGE)
@click.option(
    "-o",
    "--output",
    "--format",
    "output",
    type=click.Choice(_FORMATS),
    default="cyclonedx",
    show_default=True,
    help="CycloneDX is JSON.",
)
@platform
@plain_http
def sbom(image: str, output: str, platform: str | None, plain_http: bool) -> None:
    """Print the bill of materials that lies beside IMAGE: every package with its version, hash and licence.

    Scanners read it: shipway image sbom digits > sbom.json
    """
    with shown("json") as report, opened(place(), image, report, plain_http=plain_http, whole=False) as found:
        data = billed(found, platform)
    rows = [_HEADER, *(tuple(one[key] for key in _KEYS) for one in listed(data))] if output == "table" else []
    click.echo(table(rows) if output == "table" else data)
