"""``shipway models ls``: the models, a line each."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.cli.tables import table
from shipway.deploy.documents import OBJECTS


@click.command()
@read_output
def ls(output: str) -> None:
    """List models."""
    items = connect().get(f"{OBJECTS}/models")["items"]
    emit(items, output, table("Model", items, datetime.now(UTC), wide=output == "wide"))
