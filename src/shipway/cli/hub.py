"""``shipway hub start|stop|status``: the daemon behind the commands."""

from __future__ import annotations

import click

from shipway import hub_process, settings
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.status import about_hub
from shipway.errors import HubUnreachable, Refused


@click.group()
def hub() -> None:
    """The daemon behind the commands. Commands that change something start it when none runs."""


@hub.command()
@click.option("--listen", metavar="127.0.0.1:PORT", help="Also serve the API over TCP; the token lies in the home.")
@act_output
def start(listen: str | None, output: str) -> None:
    """Start the hub, unless one runs."""
    where = settings.read()
    if listen is not None:
        settings.loopback(listen)
        if hub_process.status(where) is not None:
            raise Refused("a hub runs already, and does not change where it listens", next_step="shipway hub stop")
    argv = (*hub_process.HUB, "--listen", listen) if listen is not None else hub_process.HUB
    health = hub_process.ensure(where, argv=argv)
    token = f"\ntoken    {where.token}" if listen is not None else ""
    emit(health, output, about_hub(health) + token)


@hub.command()
@act_output
def stop(output: str) -> None:
    """Stop the hub; what runs goes on."""
    stopped = hub_process.stop(settings.read())
    emit(
        {"stopped": stopped},
        output,
        "the hub is stopped; services and jobs that run go on" if stopped else "no hub runs",
    )


@hub.command("status")
@act_output
def show(output: str) -> None:
    """Say whether a hub runs."""
    where = settings.read()
    health = hub_process.status(where)
    if health is None:
        raise HubUnreachable(f"no hub runs for {where.home}", next_step="shipway hub start, or shipway up FOLDER")
    emit(health, output, about_hub(health))
