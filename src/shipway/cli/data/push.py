"""``shipway data push``: a version goes to a registry."""

from __future__ import annotations

import click

from shipway import settings
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.data import version_of
from shipway.deploy.transfers import push_target


@click.command()
@click.argument("version", metavar="NAME[:N]")
@click.argument("reference", required=False)
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@act_output
def push(version: str, reference: str | None, plain_http: bool, output: str) -> None:
    """Push a version to a registry; only the chunks that it does not have travel.

    REFERENCE is HOST[:PORT]/REPOSITORY[:TAG]: by default NAME in $SHIPWAY_REGISTRY, tagged with the version's number.
    Of a data set that is pinned in an object store only the list of its files goes.
    """
    target = push_target(version, reference, settings.read().registry)
    pushed = run(f"{version_of(version)}/push", {"reference": target, "plainHttp": plain_http}, output)
    emit(pushed, output, f"pushed {pushed['name']}:{pushed['version']} to {pushed['reference']}")
