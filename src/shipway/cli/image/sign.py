"""``shipway image sign``: the private key stays in this process."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from shipway.building.images.judged import signed
from shipway.cli.image.named import IMAGE, place
from shipway.cli.models.keys import password_file, private_key
from shipway.cli.options import act_output
from shipway.cli.output import emit


@click.command()
@click.argument("image", type=IMAGE)
@click.option("--key", "key_file", metavar="FILE", required=True, help="The private key, in PEM.")
@password_file
@act_output
def sign(image: str, key_file: str, password_from: str | None, output: str) -> None:
    """Sign IMAGE, of several platforms as a whole, with a private key.

    The signature lies beside the image as a sigstore bundle, and goes where it is pushed. `shipway models keygen` makes
    a key pair.
    """
    made = signed(place(), image, private_key(key_file, password_from), datetime.now(UTC))
    emit(made, output, f"{image} ({made['digest']}) is signed with the key {made['key']}")
