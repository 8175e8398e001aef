"""``shipway models verify``: whether every byte of a version is what its digest says, and who signed it."""

from __future__ import annotations

import click

from shipway.cli.models.reference import VERSION
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.verdicts import tell
from shipway.deploy.transfers import verification


@click.command()
@click.argument("version", metavar="NAME[:N|ALIAS]|REFERENCE", type=VERSION)
@click.option("--key", "key_file", metavar="FILE", help="The public key with which it must be signed, in PEM.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@act_output
def verify(version: str, key_file: str | None, plain_http: bool, output: str) -> None:
    """Read every byte of a version again, here or in a registry, and list what is damaged.

    With --key it must be signed with that key, too. Exit code 5 when something is damaged, 2 when it is not signed.
    """
    path, body = verification(version, plain_http=plain_http)
    tell(lambda: run(path, body, output), key_file, output)
