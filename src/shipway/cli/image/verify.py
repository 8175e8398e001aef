"""``shipway image verify``: whether every byte of an image is what its digest says, and who signed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.building.images.judged import verified
from shipway.cli.image.named import IMAGE, place, plain_http
from shipway.cli.options import act_output
from shipway.cli.shown import shown
from shipway.cli.verdicts import tell


@click.command()
@click.argument("image", type=IMAGE)
@click.option("--key", "key_file", metavar="FILE", help="The public key with which it must be signed, in PEM.")
@plain_http
@act_output
def verify(image: str, key_file: str | None, plain_http: bool, output: str) -> None:
    """Read every byte of IMAGE and of what lies beside it again, here or in a registry, and list what is damaged.

    With --key it must be signed with that key, too. Exit code 5 when something is damaged, 2 when it is not signed.
    """

    def read() -> Mapping[str, Any]:
        with shown(output) as report:
            return verified(place(), image, report, plain_http=plain_http)

    tell(read, key_file, output)
