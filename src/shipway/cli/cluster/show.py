"""``shipway cluster show``: one cluster, and what is to run there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.options import output_option
from shipway.cli.output import aligned, emit
from shipway.deploy.documents import OBJECTS, Object, cluster_of, condition
from shipway.transfer import size


@click.command()
@click.argument("name")
@output_option("text", "json", "yaml")
def show(name: str, output: str) -> None:
    """Show cluster NAME: how it is reached, what was found there, who owns it, and what is to run on it."""
    hub = connect()
    found = hub.get(f"{OBJECTS}/clusters/{quote(name)}")
    plurals = ("modelservices", "modeljobs")
    objects = [one for plural in plurals for one in hub.get(f"{OBJECTS}/{plural}")["items"] if cluster_of(one) == name]
    emit({"cluster": found, "runs": [_key(one) for one in objects]}, output, _text(found, objects))


def _key(obj: Object) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _text(cluster: Object, objects: Iterable[Object]) -> str:
    ready = condition(cluster, "Ready")
    state = f"{ready.get('reason', 'not looked at yet')}: {ready.get('message', '')}".rstrip(": ")
    rows = [
        ("name", cluster["metadata"]["name"]),
        ("state", state),
        *_rows(cluster["spec"], {"type": "local"}),
        *_rows(_in_words(cluster.get("status", {})), {}),
        ("runs", ", ".join(map(_key, objects)) or "nothing"),
    ]
    return aligned([row for row in rows if row[1]])


def _rows(values: Mapping[str, Any], unspoken: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    names = {"plainHttp": "plain HTTP", "pullSecret": "pull secret", "pushSecret": "push secret"}
    names["imageVolumes"] = "image volumes"
    for name, value in values.items():
        if value not in ("", False, 0, None, [], {}) and unspoken.get(name) != value and value != "auto":
            yield names.get(name, name), "yes" if value is True else str(value)


def _in_words(status: Mapping[str, Any]) -> dict[str, str]:
    gpus = ", ".join(f"{count} {name}" for name, count in status.get("gpus", {}).items())
    return {
        "version": status.get("version", ""),
        "nodes": str(status.get("nodes") or ""),
        "platforms": ", ".join(status.get("platforms", ())),
        "CPUs": f"{status['cpus']:g}" if status.get("cpus") else "",
        "memory": size(status["memory"]) if status.get("memory") else "",
        "GPUs": gpus,
        "features": ", ".join(status.get("features", ())),
        "limits": ", ".join(status.get("limits", ())),
        "owner": status.get("owner", ""),
        "notes": "; ".join(status.get("notes", ())),
    }
