"""``shipway get KIND [NAME]``, and its short forms ``jobs`` and ``services``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import dumped, emit
from shipway.cli.tables import last_seen, table
from shipway.deploy.documents import LOCAL, OBJECTS, cluster_of
from shipway.deploy.nouns import Noun, noun
from shipway.deploy.world import World

_cluster_option = click.option("--cluster", metavar="NAME", help="Only what is to run there.")


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@_cluster_option
@read_output
def get(kind: str, name: str | None, watch: bool, cluster: str | None, output: str) -> None:
    """Print the objects of a KIND (jobs, models, services, revisions, routes, clusters), or one by NAME."""
    show(noun(kind), name, watch=watch, output=output, cluster=cluster)


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@_cluster_option
@read_output
def jobs(name: str | None, watch: bool, cluster: str | None, output: str) -> None:
    """List jobs, or print one by NAME."""
    show(noun("jobs"), name, watch=watch, output=output, cluster=cluster)


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Go on, and print every change.")
@_cluster_option
@read_output
def services(name: str | None, watch: bool, cluster: str | None, output: str) -> None:
    """List services, or print one by NAME."""
    show(noun("services"), name, watch=watch, output=output, cluster=cluster)


def show(kind: Noun, name: str | None, *, watch: bool, output: str, cluster: str | None = None) -> None:
    """Print the objects of a kind, or the one of that name; ``cluster``: only what is to run there."""
    path, hub = f"{OBJECTS}/{kind.plural}", connect()
    if watch:
        _watch(World.of(hub, path), kind, name, output, cluster)
        return
    every = hub.get(path)["items"] if name is None else [hub.get(f"{path}/{name}")]
    items = [one for one in every if name is not None or _is_on(cluster, one)]
    now = datetime.now(UTC)
    elsewhere = any(cluster_of(one) != LOCAL for one in items)
    seen = last_seen(hub.get(f"{OBJECTS}/clusters")["items"], now) if elsewhere else {}
    shown = table(kind.kind, items, now, wide=output == "wide", seen=seen)
    emit(items if name is None else items[0], output, shown)


def _is_named(name: str | None, cluster: str | None, obj: Mapping[str, Any]) -> bool:
    return name in (None, obj["metadata"]["name"]) and _is_on(cluster, obj)


def _is_on(cluster: str | None, obj: Mapping[str, Any]) -> bool:
    return cluster is None or cluster_of(obj) == cluster


def _watch(world: World, kind: Noun, name: str | None, output: str, cluster: str | None) -> None:
    """The present objects, then one line (or document) for every change."""
    present = [one for one in world.objects.values() if _is_named(name, cluster, one)]
    emit(present, output, table(kind.kind, present, datetime.now(UTC), wide=output == "wide"))
    for change in world.changes():
        if _is_named(name, cluster, change["object"]):
            click.echo(_change(kind, change, output))


def _change(kind: Noun, change: Mapping[str, Any], output: str) -> str:
    if output == "yaml":
        return "---\n" + dumped(change["object"], output)
    if output == "json":
        return dumped(change["object"], output)
    row = table(kind.kind, [change["object"]], datetime.now(UTC), wide=output == "wide").splitlines()[1]
    return f"{row}  deleted" if change["type"] == "DELETED" else row
