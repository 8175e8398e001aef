"""``shipway cluster ls``: a line for each cluster."""

from __future__ import annotations

import click

from shipway.cli.get import show
from shipway.cli.options import read_output
from shipway.deploy.nouns import noun


@click.command()
@read_output
def ls(output: str) -> None:
    """List clusters: whether each answers, its version, its nodes."""
    show(noun("clusters"), None, watch=False, output=output)
