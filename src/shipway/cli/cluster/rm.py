"""``shipway cluster rm``: a cluster is forgotten; nothing there is touched."""

from __future__ import annotations

from urllib.parse import quote

import click

from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import persisted
from shipway.deploy.documents import OBJECTS


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also while services or jobs name it: they go on there, unwatched.")
@act_output
def rm(name: str, force: bool, output: str) -> None:
    """Forget cluster NAME. Refused while a service or a job runs there."""
    query = "?force=true" if force else ""
    persisted(lambda hub: hub.delete(f"{OBJECTS}/clusters/{quote(name)}{query}"))
    emit({"cluster": name, "result": "deleted"}, output, f"cluster {name} is forgotten; what is in it was left there")
