"""``shipway hub start|stop|status|backup|restore|repair|encrypt``: the daemon behind the commands, and its home."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        told = HubUnreachable(f"no hub runs for {where.home}", next_step="shipway hub start, or shipway up FOLDER")
        raise hub_process.failure(where) or told
    emit(health, output, about_hub(health))


@hub.command()
@click.argument("file")
@click.option("--with-secrets", is_flag=True, help="Also the values of `shipway secret`: keep such a file safe.")
@act_output
def backup(file: str, with_secrets: bool, output: str) -> None:
    """Write store, journal and model versions to FILE, while the hub goes on."""
    options = ("--with-secrets",) if with_secrets else ()
    said = hub_process.recover(settings.read(), "backup", file, *options)
    secrets = f"{said['secrets']} secret values are in it" if with_secrets else "secrets are not in it"
    emit(said, output, f"{said['file']}: {said['files']} files, {said['bytes']:,} bytes; {secrets}")


@hub.command()
@click.argument("file")
@click.option("--force", is_flag=True, help="Also into a home that is not empty: what it holds is moved aside.")
@act_output
def restore(file: str, force: bool, output: str) -> None:
    """Fill an empty home (SHIPWAY_HOME) from a backup, once all of it is verified."""
    said = hub_process.recover(settings.read(), "restore", file, *(("--force",) if force else ()))
    aside = f"\nwhat was there lies in {said['aside']}" if said["aside"] else ""
    emit(said, output, f"{said['home']} is restored: {said['files']} files, all verified{aside}")


@hub.command()
@click.option("--yes", is_flag=True, help="Do it. Without, nothing is changed.")
@act_output
def repair(yes: bool, output: str) -> None:
    """Show what of a damaged home can be saved and what is lost; with --yes, save it."""
    said = hub_process.recover(settings.read(), "repair", *(("--yes",) if yes else ()))
    emit(said, output, _repaired(said))


@hub.command()
@act_output
def encrypt(output: str) -> None:
    """Encrypt the models, data and sources of this home that are not, with the key in SHIPWAY_ENCRYPTION_KEY_FILE.

    Stop the hub before. Killed in between, it goes on when it is called again.
    """
    said = hub_process.recover(settings.read(), "encrypt")
    emit(said, output, f"{said['blobs']} blobs of {said['layout']} are encrypted with the key {said['key']}")


def _repaired(said: Mapping[str, Any]) -> str:
    if not Path(said["home"]).is_dir():
        return f"{said['home']} does not exist yet: nothing to repair"
    if not said["damage"]:
        return f"{said['home']} is sound: nothing to repair"
    parts = [("damaged", said["damage"]), ("saved" if said["done"] else "can be saved", said["saved"])]
    parts += [("lost", said["lost"] or ["nothing"]), ("not repaired: restore it from a backup", said["stuck"])]
    parts += [("kept aside", said["aside"])]
    lines = [line for title, found in parts if found for line in (title, *(f"  {one}" for one in found))]
    return "\n".join([*lines, *([] if said["done"] else ["nothing was changed; to repair: shipway hub repair --yes"])])
