"""``shipway status``: the hub, its gateway and everything that it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import OBJECTS, connect
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.cli.tables import table

_SHOWN = ("ModelService", "ModelJob", "Model")
_TITLES = {"ModelService": "services", "ModelJob": "jobs", "Model": "models"}


@click.command()
@read_output
def status(output: str) -> None:
    """Show the hub, its gateway, and all services, jobs and models."""
    hub = connect()
    health = hub.get("/healthz")
    objects = hub.get(OBJECTS)["items"]
    shown = [one for one in objects if one["kind"] in _SHOWN]
    emit({"hub": health, "objects": shown}, output, _text(health, shown, wide=output == "wide"))


def _text(health: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], *, wide: bool) -> str:
    parts = [about_hub(health)]
    for kind in _SHOWN:
        of_kind = [one for one in objects if one["kind"] == kind]
        if of_kind:
            parts.append(f"{_TITLES[kind]}\n{table(kind, of_kind, datetime.now(UTC), wide=wide)}")
    return "\n\n".join(parts if len(parts) > 1 else [*parts, "nothing is up: shipway up FOLDER"])


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
