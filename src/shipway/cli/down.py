"""``shipway down``: stop what runs."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import persisted
from shipway.errors import UserError
from shipway.project import declared

_RUN = ("ModelJob", "ModelService")  # a Model runs nothing, and is kept


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="The same as no FOLDER: everything, and the gateway.")
@act_output
def down(folder: Path | None, everything: bool, output: str) -> None:
    """Stop the services and jobs of FOLDER; without one, all of this home and the gateway.

    Returns when no process is left. Models and their versions are kept.
    """
    if folder is not None and everything:
        raise UserError("give either FOLDER or --all")
    request: dict[str, object] = {"all": True}
    if folder is not None:
        request = {"objects": [{"kind": one.kind, "name": one.name} for one in declared(folder) if one.kind in _RUN]}
    answer = persisted(lambda hub: hub.post("/v1/down", request)) if request.get("objects", True) else {}
    deleted = answer.get("deleted", [])
    emit({"deleted": deleted}, output, "\n".join(f"{one} is down" for one in deleted) or "nothing was up")
