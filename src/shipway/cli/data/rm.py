"""``shipway data rm``: a version, or a data set with all of them, is forgotten."""

from __future__ import annotations

import click

from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import ensured
from shipway.deploy.data import data_of, version_of


@click.command()
@click.argument("version", metavar="NAME[:N]")
@act_output
def rm(version: str, output: str) -> None:
    """Forget a version, or all versions of NAME. Their numbers do not come again.

    A job that names one cannot run any more. The disk's space is free after `shipway gc`.
    """
    name, colon, _ = version.partition(":")
    removed = ensured().delete(version_of(version) if colon else data_of(name))["removed"]
    emit(removed, output, "\n".join(f"{one} removed" for one in removed))
