"""``shipway diff``: what ``apply`` or ``up`` would change."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from shipway.cli.failure import colour
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import ensured
from shipway.deploy.apply import compared
from shipway.errors import UserError
from shipway.project import read

_LONGEST = 160  # characters of a value
_MARKS = {"created": ("+", "green"), "configured": ("~", "yellow"), "unchanged": ("=", None)}


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("-f", "--file", type=click.Path(path_type=Path), help="A YAML file instead of a folder.")
@click.option("--cluster", default="", metavar="NAME", help="As of up: where what names no cluster itself is to run.")
@act_output
def diff(folder: Path | None, file: Path | None, cluster: str, output: str) -> None:
    """Say what bringing up DIR (default: this folder) would change: objects, field by field, and in clusters the
    Kubernetes objects. Nothing is changed, and no image is built.
    """
    if folder is not None and file is not None:
        raise UserError("give either DIR or -f FILE")
    project = read(file or folder or Path())
    found = compared(ensured(), project.on(cluster) if cluster else project)
    emit(found, output, text(found["objects"], found["clusters"]))


def text(objects: Sequence[Mapping[str, Any]], clusters: Sequence[Mapping[str, Any]]) -> str:
    """A line for each object with its fields below it, then those of Kubernetes."""
    lines = [line for one in objects for line in _object(one)]
    names = list(dict.fromkeys(one["object"] for one in clusters))
    for name in names:
        changes = [one for one in clusters if one["object"] == name]
        lines += _whole(name, changes[0]) or [f"~ {name}", *map(_field, changes)]
    if all(one["result"] == "unchanged" for one in objects) and not clusters:
        return "nothing would change"
    return "\n".join(lines)


def _whole(name: str, change: Mapping[str, Any]) -> list[str]:
    """An object of Kubernetes that comes or goes; nothing for one that changes."""
    return [] if change["field"] else [f"{'+' if change['to'] == 'create' else '-'} {name}: {change['to']}d"]


def _object(one: Mapping[str, Any]) -> Iterable[str]:
    mark, shade = _MARKS[one["result"]]
    note = f" ({one['note']})" if one.get("note") else ""
    line = f"{mark} {one['kind']}/{one['name']}: {one['result']}{note}"
    yield click.style(line, fg=shade) if colour(sys.stdout) else line
    yield from (_field(change) for change in one["changes"])


def _field(change: Mapping[str, Any]) -> str:
    return f"    {change['field']}: {_value(change['from'])} -> {_value(change['to'])}"


def _value(value: Any) -> str:
    if value in (None, "", [], {}):
        return "none"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
