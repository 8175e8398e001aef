"""``shipway models sign``: the hub tells the digest and gets the signature; the private key stays in this process."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from shipway.cli.hubs import connect
from shipway.cli.models.keys import password_file, private_key
from shipway.cli.models.reference import VERSION
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import version_of
from shipway.signing import sign as signed


@click.command()
@click.argument("version", metavar="NAME[:N|ALIAS]", type=VERSION)
@click.option("--key", "key_file", metavar="FILE", required=True, help="The private key, in PEM.")
@password_file
@act_output
def sign(version: str, key_file: str, password_from: str | None, output: str) -> None:
    """Sign a version (without N: the champion) with a private key.

    The signature lies beside the version as a sigstore bundle, and goes where it is pushed.
    """
    key, hub = private_key(key_file, password_from), connect()
    asked = hub.get(version_of(version, "signatures"))
    what = f"{asked['name']}:{asked['version']}"
    bundle = signed(asked["digest"], key, datetime.now(UTC))
    # By its number: what an alias names may be another version by now.
    made = hub.post(version_of(what, "signatures"), json.loads(bundle))
    emit(
        {**made, "key": key.public.hint}, output, f"{what} ({asked['digest']}) is signed with the key {key.public.hint}"
    )
