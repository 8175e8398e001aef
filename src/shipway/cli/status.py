"""``shipway status``: the hub, its gateway and everything that it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.cli.tables import last_seen, table
from shipway.deploy.documents import LOCAL
from shipway.errors import NotFound

_CLUSTERS = "Cluster"
_TITLES = {_CLUSTERS: "clusters", "ModelService": "services", "ModelJob": "jobs", "Model": "models"}


@click.command()
@click.option("--cluster", metavar="NAME", help="Only what runs there.")
@read_output
def status(cluster: str | None, output: str) -> None:
    """Show the hub, its gateway, clusters, and all services, jobs and models."""
    answer = connect().get("/v1/status" + (f"?cluster={quote(cluster)}" if cluster is not None else ""))
    known = (one["metadata"]["name"] for one in answer["objects"] if one["kind"] == _CLUSTERS)
    if cluster is not None and cluster not in known:
        raise NotFound(f"there is no cluster {cluster!r}", next_step="see shipway cluster ls")
    health, objects = {**answer["hub"], "gateway": answer["gateway"]}, answer["objects"]
    emit({"hub": health, "objects": objects}, output, _text(health, objects, wide=output == "wide"))


def _text(health: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], *, wide: bool) -> str:
    parts, now = [about_hub(health)], datetime.now(UTC)
    seen = last_seen((one for one in objects if one["kind"] == _CLUSTERS), now)
    for kind, title in _TITLES.items():
        of_kind = sorted((one for one in objects if one["kind"] == kind and not _is_here(one)), key=_is_well)
        if of_kind:
            parts.append(f"{title}{_unwell(of_kind)}\n{table(kind, of_kind, now, wide=wide, seen=seen)}")
    return "\n\n".join(parts if len(parts) > 1 else [*parts, "nothing is up: shipway up FOLDER"])


def _is_here(obj: Mapping[str, Any]) -> bool:
    """This machine as a cluster: the hub's own lines say it."""
    return bool(obj["kind"] == _CLUSTERS and obj["metadata"]["name"] == LOCAL)


def _is_well(obj: Mapping[str, Any]) -> bool:
    conditions = obj["status"].get("conditions", ())
    return not any(one["status"] == "False" and one["reason"] != "ScaledToZero" for one in conditions)


def _unwell(objects: Sequence[Mapping[str, Any]]) -> str:
    """Said in the heading: among 500 rows nobody finds the two that matter."""
    count = sum(not _is_well(one) for one in objects)
    if not count:
        return ""
    return f": {count} of {len(objects)} not well" + (", shown first" if count < len(objects) else "")


def about_hub(health: Mapping[str, Any]) -> str:
    """Two lines on the hub and its gateway."""
    gateway = health.get("gateway", {})
    state = gateway.get("state") or gateway.get("reason") or ("live" if gateway.get("live") else "not live")
    return (
        f"hub      {health['version']}, pid {health['pid']}, home {health['home']}\n"
        f"gateway  {gateway.get('url', '-')}  {state}{_restarts(gateway.get('restarts', 0))}"
    )


def _restarts(count: int) -> str:
    # Each of them broke the connections that Envoy held: whoever looks for lost requests finds the cause here.
    return f", restarted {count} time{'s' if count > 1 else ''}" if count else ""
