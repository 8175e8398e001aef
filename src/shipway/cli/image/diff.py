"""``shipway image diff``: what differs between two images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from shipway.building.images.compared import compared
from shipway.building.images.opened import opened
from shipway.cli.image.named import IMAGE, place, plain_http, platform
from shipway.cli.image.text import table
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.cli.shown import shown
from shipway.transfer import size

LIMIT = 50
_LONGEST = 60  # characters of a value

_Row = tuple[str, ...]


@click.command()
@click.argument("before", type=IMAGE)
@click.argument("after", type=IMAGE)
@click.option("--files", is_flag=True, help="Name each file that differs.")
@click.option("--limit", type=click.IntRange(min=0), default=LIMIT, show_default=True, help="Of each list; 0 is all.")
@platform
@plain_http
@read_output
def diff(before: str, after: str, files: bool, limit: int, platform: str | None, plain_http: bool, output: str) -> None:
    """Show what differs from one image to another: layers, packages, what they run, and files.

    With -o json all that differs is told.
    """
    where = place()
    with (
        shown(output) as report,
        opened(where, before, report, plain_http=plain_http) as old,
        opened(where, after, report, plain_http=plain_http) as new,
    ):
        found = compared(old, new, platform)
    emit(found, output, "\n\n".join(_sections(found, limit, files)))


def _sections(found: Mapping[str, Any], limit: int, files: bool) -> Iterator[str]:
    title = f"{found['before']['name']} -> {found['after']['name']} ({found['after']['platform']})"
    yield f"{title}: the same image" if found["same"] else title
    if found["same"]:
        return
    named = {
        "base": _values([found["base"]] if found["base"] else []),
        "layers": _layers(found["layers"]),
        "packages": _values(found["packages"]),
        "system packages": _values(found["systemPackages"]),
        "config": _values(found["config"]),
        "files": [_file(one) for one in found["files"]] if files else [],
    }
    for name, rows in named.items():
        if rows:
            yield f"{name}\n{_cut(rows, limit)}"
    yield table([("all", size(found["size"]["before"]), "->", size(found["size"]["after"]))]) + _summary(
        found["files"], files
    )


def _cut(rows: Sequence[_Row], limit: int) -> str:
    shown = rows[:limit] if limit else rows
    text = table([(f"  {row[0]}", *row[1:]) for row in shown])
    return text if len(shown) == len(rows) else f"{text}\n  ... {len(rows) - len(shown):,} more: --limit 0"


def _layers(layers: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[_Row]:
    shared = layers["shared"]
    total = sum(one["size"] for one in shared)
    return [
        ("=", size(total), f"{len(shared)} shared"),
        *(("-", size(one["size"]), _short(one["createdBy"])) for one in layers["removed"]),
        *(("+", size(one["size"]), _short(one["createdBy"])) for one in layers["added"]),
    ]


def _values(changes: Sequence[Mapping[str, Any]]) -> list[_Row]:
    return [(one["name"], _short(one["before"]), "->", _short(one["after"])) for one in changes]


def _file(one: Mapping[str, Any]) -> _Row:
    before, after = ("-" if one[key] is None else size(one[key]) for key in ("before", "after"))
    return one["path"], before, "->", after


def _summary(files: Sequence[Mapping[str, Any]], named: bool) -> str:
    added = sum(one["before"] is None for one in files)
    removed = sum(one["after"] is None for one in files)
    hint = ": --files names them" if files and not named else ""
    return f"\nfiles: {added:,} added, {removed:,} removed, {len(files) - added - removed:,} changed{hint}"


def _short(value: str | None) -> str:
    text = "-" if value is None else value or "-"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
