"""``shipway data diff``: what changed from one version to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.deploy.data import version_of
from shipway.transfer import size

_SHOWN = 50


@click.command()
@click.argument("before", metavar="NAME:A")
@click.argument("after", metavar="NAME:B")
@read_output
def diff(before: str, after: str, output: str) -> None:
    """Show which files differ, and how many bytes of the second the first does not have."""
    found = connect().get(f"{version_of(after)}/diff?against={quote(before)}")
    emit(found, output, _told(found, before, after, _SHOWN if output == "table" else None))


def _told(found: Mapping[str, Any], before: str, after: str, most: int | None) -> str:
    rows = list(_rows(found))
    more = f"\n... and {len(rows) - most} more: -o wide" if most is not None and len(rows) > most else ""
    counts = ", ".join(f"{len(found[word])} {word}" for word in ("added", "removed", "changed"))
    last = f"{counts}, {found['unchanged']} as before; {size(found['newBytes'])} new in {after}"
    return f"{aligned(rows[:most])}{more}\n\n{last}" if rows else f"{before} and {after} have the same files"


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in found["added"]:
        yield "added", one["name"], size(one["after"])
    for one in found["removed"]:
        yield "removed", one["name"], size(one["before"])
    for one in found["changed"]:
        yield "changed", one["name"], f"{size(one['before'])} -> {size(one['after'])}"
