"""``shipway get KIND [NAME]``, and its short forms ``jobs`` and ``services``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import dumped, emit
from shipway.cli.tables import table
from shipway.deploy.documents import OBJECTS
from shipway.deploy.nouns import Noun, noun
from shipway.deploy.world import World


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@read_output
def get(kind: str, name: str | None, watch: bool, output: str) -> None:
    """Print the objects of a KIND (jobs, models, services, revisions, routes, clusters), or one by NAME."""
    _print(noun(kind), name, watch, output)


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@read_output
def jobs(name: str | None, watch: bool, output: str) -> None:
    """List jobs, or print one by NAME."""
    _print(noun("jobs"), name, watch, output)


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@read_output
def services(name: str | None, watch: bool, output: str) -> None:
    """List services, or print one by NAME."""
    _print(noun("services"), name, watch, output)


def _print(kind: Noun, name: str | None, watch: bool, output: str) -> None:
    path, wide = f"{OBJECTS}/{kind.plural}", output == "wide"
    if watch:
        _watch(World.of(connect(), path), kind, name, output)
    elif name is not None:
        obj = connect().get(f"{path}/{name}")
        emit(obj, output, table(kind.kind, [obj], datetime.now(UTC), wide=wide))
    else:
        items = connect().get(path)["items"]
        emit(items, output, table(kind.kind, items, datetime.now(UTC), wide=wide))


def _watch(world: World, kind: Noun, name: str | None, output: str) -> None:
    """The present objects, then one line (or document) for every change."""
    present = [one for one in world.objects.values() if name in (None, one["metadata"]["name"])]
    emit(present, output, table(kind.kind, present, datetime.now(UTC), wide=output == "wide"))
    for change in world.changes():
        if name in (None, change["object"]["metadata"]["name"]):
            click.echo(_change(kind, change, output))


def _change(kind: Noun, change: Mapping[str, Any], output: str) -> str:
    if output == "yaml":
        return "---\n" + dumped(change["object"], output)
    if output == "json":
        return dumped(change["object"], output)
    row = table(kind.kind, [change["object"]], datetime.now(UTC), wide=output == "wide").splitlines()[1]
    return f"{row}  deleted" if change["type"] == "DELETED" else row
