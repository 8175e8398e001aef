"""``shipway down``: stop what runs."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import ensured, persisted
from shipway.deploy.documents import OBJECTS, Key, cluster_of, key_of
from shipway.deploy.nouns import BY_KIND
from shipway.errors import UserError
from shipway.project import declared

_RUN = ("ModelJob", "ModelService")  # a Model runs nothing, and is kept


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="The same as no FOLDER: everything, and the gateway.")
@click.option("--cluster", metavar="NAME", help="Only what is to run there.")
@act_output
def down(folder: Path | None, everything: bool, cluster: str | None, output: str) -> None:
    """Stop the services and jobs of FOLDER; without one, all of this home and the gateway.

    Returns when no process is left. Models and their versions are kept.
    """
    if everything and (folder is not None or cluster is not None):
        raise UserError("--all stops everything: give it without FOLDER and --cluster")
    request: dict[str, object] = {"all": True}
    if folder is not None or cluster is not None:
        named = None if folder is None else {one.key for one in declared(folder)}
        there = _there(cluster) if cluster is not None else named or set()
        keys = sorted(one for one in there if one[0] in _RUN and (named is None or one in named))
        request = {"objects": [{"kind": kind, "name": name} for kind, name in keys]}
    answer = persisted(lambda hub: hub.post("/v1/down", request)) if request.get("objects", True) else {}
    deleted = answer.get("deleted", [])
    emit({"deleted": deleted}, output, "\n".join(f"{one} is down" for one in deleted) or "nothing was up")


def _there(cluster: str) -> set[Key]:
    """What is to run on a cluster."""
    objects = [one for kind in _RUN for one in ensured().get(f"{OBJECTS}/{BY_KIND[kind].plural}")["items"]]
    return {key_of(one) for one in objects if cluster_of(one) == cluster}
