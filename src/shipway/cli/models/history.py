"""``shipway models history``: what the versions of a model were, when, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.models.reference import MODEL
from shipway.cli.moments import local, moment
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.deploy.catalog import asked, model_path


@click.command()
@click.argument("name", type=MODEL)
@click.option("--at", metavar="TIME", help="Only what held then: 90m, 7d (ago), or 2026-01-31T12:00.")
@read_output
def history(name: str, at: str | None, output: str) -> None:
    """Show which versions were live (all traffic of a service), champion or had another alias, when, by whom and why;
    and pushes, pulls, imports and removals.
    """
    now = datetime.now(UTC)
    when = moment(at, now).isoformat() if at is not None else None
    found = connect().get(asked(f"{model_path(name)}/history", {"at": when}))
    parts = [_tenures(name, found["tenures"], now, when)]
    if found["happenings"]:
        parts.append(_happenings(found["happenings"], now))
    emit(found, output, "\n\n".join(parts))


def _tenures(name: str, tenures: Sequence[Mapping[str, Any]], now: datetime, when: str | None) -> str:
    if not tenures:
        return f"no version of {name} was live or had a name {f'at {local(when, now)}' if when else 'yet'}"
    rows = [
        (
            f"{one['model']}:{one['version']}",
            one["role"],
            local(one["since"], now),
            local(one["until"], now) if one["until"] else "now",
            "/".join(filter(None, (one["cluster"], one["service"], one["revision"]))) or "-",
            one["by"] or "-",
            one["why"] or "-",
        )
        for one in reversed(tenures)
    ]
    return aligned([("VERSION", "WAS", "FROM", "TO", "WHERE", "BY", "WHY"), *rows])


def _happenings(happenings: Sequence[Mapping[str, Any]], now: datetime) -> str:
    rows = [(local(one["at"], now), one["reason"], one["by"] or "-", one["message"]) for one in reversed(happenings)]
    return aligned([("AT", "WHAT", "BY", "MESSAGE"), *rows])
