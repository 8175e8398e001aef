"""``shipway models history``: where the versions of a model were live, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.moments import local
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit


@click.command()
@click.argument("name")
@read_output
def history(name: str, output: str) -> None:
    """Show where and when the versions of a model had all the traffic of a service, by whom and why."""
    tenures = connect().get(f"/v1/models/{quote(name)}/history")["tenures"]
    emit(tenures, output, _tenures(name, tenures, datetime.now(UTC)))


def _tenures(name: str, tenures: Sequence[Mapping[str, Any]], now: datetime) -> str:
    if not tenures:
        return f"no version of {name} was live yet"
    rows = [
        (
            f"{one['model']}:{one['version']}",
            local(one["since"], now),
            local(one["until"], now) if one["until"] else "now",
            f"{one['cluster']}/{one['service']}/{one['revision']}",
            one["by"] or "-",
            one["why"] or "-",
        )
        for one in reversed(tenures)
    ]
    return aligned([("VERSION", "LIVE FROM", "TO", "WHERE", "BY", "WHY"), *rows])
