"""``shipway data ls``: the data sets, or the versions of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.cli.tables import age
from shipway.deploy.data import DATA, versions_of
from shipway.transfer import size


@click.command()
@click.argument("name", required=False)
@read_output
def ls(name: str | None, output: str) -> None:
    """List the latest version of every data set; with NAME all versions of that one."""
    found = connect().get(versions_of(name) if name else DATA)["versions"]
    newest_first = list(reversed(found)) if name else found
    emit(found, output, _table(newest_first, datetime.now(UTC)))


def _table(versions: Sequence[Mapping[str, Any]], now: datetime) -> str:
    if not versions:
        return "nothing here yet: shipway data add NAME PATH"
    rows = [
        (
            f"{one['name']}:{one['number']}",
            str(one["files"]),
            size(one["size"]),
            "here" if one["remote"] is None else "pinned",
            labels(one) or "-",
            one["source"] or "-",
            age(one["createdAt"], now) or "-",
        )
        for one in versions
    ]
    return aligned([("VERSION", "FILES", "SIZE", "KEPT", "LABELS", "FROM", "AGE"), *rows])


def labels(version: Mapping[str, Any]) -> str:
    """``residency=eu, team=vision``."""
    return ", ".join(f"{name}={value}" for name, value in version["labels"].items())
