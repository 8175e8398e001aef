"""``shipway logs``: what a job, a service or a revision printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.client import HubClient
from shipway.deploy.documents import FRAME, OBJECTS
from shipway.deploy.nouns import target
from shipway.errors import NotFound

# A bare name is looked for in this order; a job and its service often share one.
_PLURALS = ("modelservices", "modeljobs", "revisions")


@click.command()
@click.argument("name", metavar="[KIND/]NAME")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Begin with the last N lines.")
def logs(name: str, follow: bool, tail: int | None) -> None:
    """Print what a job or a service wrote: job/digits, service/digits, or digits."""
    hub = connect()
    plural, name = target(name)
    plural = plural or _find(hub, name)
    query = [f"follow={str(follow).lower()}", *([f"tail={tail}"] if tail is not None else [])]
    _print(data for event, data in hub.stream(f"/v1/logs/{plural}/{name}?{'&'.join(query)}") if event == "line")


def _print(lines: Iterable[Mapping[str, Any]]) -> None:
    """The lines; where the source changes, a header names the new one, as tail(1) does."""
    before = None
    for line in lines:
        source = (line.get("workload"), line["replica"])
        if before not in (None, source):
            click.echo(f"==> {source[0]} replica {source[1]} <==")
        before = source
        click.echo(line["text"].removeprefix(FRAME))


def _find(hub: HubClient, name: str) -> str:
    found = [plural for plural in _PLURALS if _exists(hub, plural, name)]
    if not found:
        raise NotFound(f"there is no service, job or revision {name!r}", next_step="see shipway status")
    if len(found) > 1:
        others = ", ".join(f"shipway logs {plural}/{name}" for plural in found[1:])
        click.echo(f"these are the logs of {found[0]}/{name}; there is also: {others}", err=True)
    return found[0]


def _exists(hub: HubClient, plural: str, name: str) -> bool:
    try:
        hub.get(f"{OBJECTS}/{plural}/{name}")
    except NotFound:
        return False
    return True
