"""``shipway courier push|pull``: what the courier's containers run in Pods. Not for people, and in no help."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import click

from shipway import settings
from shipway.courier.bring import Item, bring, install
from shipway.courier.registries import registries
from shipway.courier.sidecar import Sidecar

_plain_http = click.option("--plain-http", is_flag=True, help="The registry speaks HTTP without TLS.")


@click.group(hidden=True)
def courier() -> None:
    """Beside a workload in a Pod: bring models and inputs, take results away."""


@courier.command()
@click.option("--socket", type=click.Path(path_type=Path), required=True, help="Where the launcher asks.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="What is pushed.")
@click.option("--to", metavar="REPOSITORY[:TAG]", required=True)
@_plain_http
def push(socket: Path, folder: Path, to: str, plain_http: bool) -> None:
    """Wait to be asked, then push a folder; until SIGTERM."""
    new_registry = registries(settings.read().docker_config, plain_http=plain_http)
    asyncio.run(_serve(Sidecar(folder, to, new_registry, _say), socket))


@courier.command()
@click.option("--item", "items", metavar="REFERENCE=FOLDER", multiple=True, help="What goes where; several.")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="A folder for what is under way.")
@click.option("--launcher", type=click.Path(path_type=Path), help="Put the launcher of jobs there as well.")
@_plain_http
def pull(items: tuple[str, ...], state: Path, launcher: Path | None, plain_http: bool) -> None:
    """Put artifacts into folders."""
    wanted = [Item.parse(one) for one in items]
    if launcher is not None:
        install(launcher)
    new_registry = registries(settings.read().docker_config, plain_http=plain_http)
    asyncio.run(bring(wanted, state, new_registry, _say, environment=settings.inherited()))


async def _serve(sidecar: Sidecar, socket: Path) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await sidecar.serve(socket, stop)


def _say(text: str) -> None:
    print(f"courier: {text}", file=sys.stderr, flush=True)
