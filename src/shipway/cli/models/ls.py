"""``shipway models ls``: the models, a line each; with a NAME its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.models.reference import MODEL
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.cli.tables import age
from shipway.deploy.catalog import MODELS, versions_path
from shipway.deploy.documents import numbers
from shipway.transfer import size

LIMIT = 50


@click.command()
@click.argument("name", required=False, type=MODEL)
@click.option("--limit", type=click.IntRange(min=0), default=LIMIT, show_default=True, help="Versions; 0 is all.")
@click.option("--before", type=click.IntRange(min=1), metavar="N", help="Only versions with a lower number.")
@read_output
def ls(name: str | None, limit: int, before: int | None, output: str) -> None:
    """List models, a line each; with NAME its versions, newest first."""
    if name is None:
        listed = connect().get(MODELS)["models"]
        emit(listed, output, models_table(listed, datetime.now(UTC), wide=output == "wide"))
    else:
        versions(name, limit, before, output)


def versions(name: str, limit: int, before: int | None, output: str) -> None:
    """Print the versions of a model."""
    page = connect().get(versions_path(name, limit, before))
    emit(page, output, versions_table(page, datetime.now(UTC)))


def models_table(listed: Sequence[Mapping[str, Any]], now: datetime, *, wide: bool) -> str:
    """A line for each; format, size and metrics are the champion's."""
    if not listed:
        return "nothing here yet: shipway up"
    header = ("NAME", "VERSIONS", "LATEST", "CHAMPION", "SIZE", "METRICS", "LIVE", "AGE")
    rows = [
        (
            one["name"],
            str(one["versions"]),
            str(one["latest"] or "-"),
            str(one["champion"] or "-"),
            size(one["size"]) if one["versions"] else "-",
            numbers(one["metrics"]) or "-",
            ", ".join(f"{service} ({number})" for service, number in one["live"].items()) or "-",
            age(one["createdAt"], now),
            one["format"] or "-",
            ", ".join(f"{alias}={number}" for alias, number in one["aliases"].items()) or "-",
        )
        for one in listed
    ]
    rows = [(*header, "FORMAT", "ALIASES"), *rows]
    return aligned(rows if wide else [row[: len(header)] for row in rows])


def versions_table(page: Mapping[str, Any], now: datetime) -> str:
    """The versions of a page, newest first, and how many older ones there are."""
    if not page["count"]:
        return f"{page['name']} has no versions yet"
    names, live = _by_number(page["aliases"]), _by_number(page["live"])
    rows = [
        (
            f"{page['name']}:{one['number']}",
            ", ".join(names.get(one["number"], ())) or "-",
            one["format"],
            size(one["size"]),
            numbers(one.get("metrics", {})) or "-",
            one.get("gate", "none"),
            ", ".join(live.get(one["number"], ())) or "-",
            age(one["createdAt"], now),
        )
        for one in page["versions"]
    ]
    text = aligned([("VERSION", "ALIASES", "FORMAT", "SIZE", "METRICS", "GATE", "LIVE", "AGE"), *rows])
    return f"{text}\n... {page['older']:,} older: --limit 0" if page["older"] else text


def _by_number(named: Mapping[str, int]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, number in named.items():
        found.setdefault(number, []).append(name)
    return found
