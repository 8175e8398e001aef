"""``shipway models rm``: a version, or a model with all of them, goes away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.models.reference import VERSION
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import persisted
from shipway.deploy.catalog import asked, model_path, version_path
from shipway.errors import UserError


@click.command()
@click.argument("reference", metavar="NAME[:N]", type=VERSION)
@click.option("--why", default="", metavar="TEXT", help="The reason, for the ledger.")
@click.option("--force", is_flag=True, help="Also a version that an alias names: the alias goes with it.")
@act_output
def rm(reference: str, why: str, force: bool, output: str) -> None:
    """Remove a version (NAME:N), or a model with all its versions (NAME), that no service uses.

    The number never comes again. The files go with `shipway gc`; what was pushed stays in its registry.
    """
    name, colon, ref = reference.partition(":")
    if not colon:
        if why or force:
            raise UserError("--why and --force are for one version", next_step="write NAME:N")
        done = persisted(lambda hub: hub.delete(model_path(name)))
        emit(done, output, f"{name} is removed with {done['versions']} version(s)")
        return
    path = asked(version_path(name, ref), {"why": why, "force": force})
    done = persisted(lambda hub: hub.delete(path))
    emit(done, output, _told(done))


def _told(done: Mapping[str, Any]) -> str:
    kept = f"; it is still in {', '.join(done['pushed'])}" if done["pushed"] else ""
    gone = f", and with it the name {', '.join(done['aliases'])}" if done["aliases"] else ""
    return f"{done['model']}:{done['version']} is removed{gone}{kept}"
