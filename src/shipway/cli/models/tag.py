"""``shipway models tag``: names for versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.models.reference import VERSION
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import persisted
from shipway.deploy.catalog import alias_path, asked, split
from shipway.errors import UserError


@click.command()
@click.argument("reference", metavar="NAME[:N]", type=VERSION)
@click.argument("alias", required=False)
@click.option("--delete", metavar="ALIAS", help="Take this alias of NAME away.")
@click.option("--why", default="", metavar="TEXT", help="The reason, for the ledger.")
@click.option("--force", is_flag=True, help="Also a champion that its gate held back, or an alias that is followed.")
@act_output
def tag(reference: str, alias: str | None, delete: str | None, why: str, force: bool, output: str) -> None:
    """Let ALIAS name a version: services of NAME:ALIAS roll to it. Those of NAME follow the alias champion.

    A champion that was made by hand stays until a newer run passes its gate. `latest` is always the newest version.
    """
    if (alias is None) == (delete is None) or (delete is not None and ":" in reference):
        raise UserError(
            "give either NAME:N ALIAS or NAME --delete ALIAS", next_step="for example: shipway models tag digits:3 prod"
        )
    if alias is not None:
        name, ref = split(reference)
        body = {"version": ref, "why": why, "force": force}
        done = persisted(lambda hub: hub.put(alias_path(name, alias), body))
    else:
        path = asked(alias_path(reference, delete or ""), {"why": why, "force": force})
        done = persisted(lambda hub: hub.delete(path))
    emit(done, output, _told(done))


def _told(done: Mapping[str, Any]) -> str:
    name, alias, before = done["model"], done["alias"], done["before"]
    if done["version"] is None:
        return f"{name} has no alias {alias} any more; it named {name}:{before}"
    if done["version"] == before:
        return f"{alias} is {name}:{before} already"
    return f"{alias} is {name}:{done['version']} now" + (f"; it was {name}:{before}" if before else "")
