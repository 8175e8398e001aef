"""``shipway apply`` and ``shipway delete``: objects in and out, without waiting."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import persisted
from shipway.client import HubClient
from shipway.deploy.apply import apply_project
from shipway.deploy.documents import OBJECTS, Key
from shipway.deploy.nouns import BY_KIND, noun
from shipway.errors import NotFound, UserError
from shipway.project import Project, declared, from_text, read


@click.command()
@click.option("-f", "--file", required=True, type=click.Path(path_type=Path, allow_dash=True), help="YAML; - is stdin.")
@click.option("--force-conflicts", is_flag=True, help="Take fields that others have set in a cluster from them.")
@act_output
def apply(file: Path, force_conflicts: bool, output: str) -> None:
    """Give the objects of a file (or of a folder's shipway.yaml) to the hub, and do not wait.

    What they name (sources, inputs, requirements) is relative to the file's folder.
    """
    project = _project(file)
    project = project.forcing_conflicts(datetime.now(UTC).isoformat()) if force_conflicts else project
    results = persisted(lambda hub: apply_project(hub, project, {}))
    lines = "\n".join(f"{'/'.join(one.key)} {one.result}" for one in results)
    emit([{"kind": one.key[0], "name": one.key[1], "result": one.result} for one in results], output, lines)


@click.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@click.option("-f", "--file", type=click.Path(path_type=Path), help="Delete the objects of this file.")
@act_output
def delete(kind: str | None, name: str | None, file: Path | None, output: str) -> None:
    """Delete an object, or the objects of a file; its processes end.

    With -f, objects that are not there are passed over.
    """
    if file is not None and kind is None:
        keys = [one.key for one in declared(file)]
    elif kind is not None and name is not None and file is None:
        keys = [(noun(kind).kind, name)]
    else:
        raise UserError("give either KIND NAME or -f FILE", next_step="for example: shipway delete service digits")
    gone = [key for key in keys if _delete(key, missing_ok=file is not None)]
    lines = "\n".join(f"{'/'.join(key)} deleted" for key in gone) or "nothing to delete"
    emit([{"kind": key[0], "name": key[1], "result": "deleted"} for key in gone], output, lines)


def _delete(key: Key, *, missing_ok: bool) -> bool:
    path = f"{OBJECTS}/{BY_KIND[key[0]].plural}/{key[1]}"
    tries = 0

    def ask(hub: HubClient) -> None:
        nonlocal tries
        tries += 1
        hub.delete(path)

    try:
        persisted(ask)
    except NotFound:
        if tries > 1:  # the hub that died over it had done it
            return True
        if not missing_ok:
            raise
        return False
    return True


def _project(file: Path) -> Project:
    return from_text(sys.stdin.read(), Path("stdin")) if file == Path("-") else read(file)
