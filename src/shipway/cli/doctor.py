"""``shipway doctor``: is this machine as Shipway needs it, and a bug report in one file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from shipway import settings
from shipway.cli.options import act_output
from shipway.cli.output import aligned, emit
from shipway.doctor import Bundle, Line, judge, look, write_bundle

_COLOURS = {"ok": "green", "degraded": "yellow", "missing": "red"}


@click.command()
@click.option(
    "--bundle",
    "file",
    metavar="[FILE]",
    is_flag=False,
    flag_value="",
    help="Write a bug report (.tar.gz) with logs and without secrets; says what is inside.",
)
@act_output
def doctor(file: str | None, output: str) -> int:
    """Look at this machine and at the home; say what is wrong and what to do. Changes nothing, needs no hub."""
    where, inherited = settings.read(), settings.inherited()
    facts = look(where, inherited)
    lines = judge(facts)
    if file is not None:
        name = Path(file or f"shipway-doctor-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar.gz").absolute()
        bundle = write_bundle(name, where, inherited, facts, lines)
        emit({"path": str(bundle.path), "contents": dict(bundle.contents)}, output, _inside(bundle))
        return 0
    emit({"lines": [one.to_json() for one in lines]}, output, _text(lines))
    return 1 if any(one.state == "missing" for one in lines) else 0


def _text(lines: Sequence[Line]) -> str:
    topics, states = max(len(one.topic) for one in lines), max(len(state) for state in _COLOURS)
    indent = " " * (topics + states + 4)
    told = []
    for one in lines:
        state = click.style(one.state.ljust(states), fg=_COLOURS[one.state])
        told.append(f"{one.topic.ljust(topics)}  {state}  {one.found}")
        if one.state != "ok" and one.next_step:
            told.append(f"{indent}{one.next_step}")
    counts = [f"{sum(one.state == state for one in lines)} {state}" for state in _COLOURS]
    return "\n".join([*told, "", ", ".join(counts)])


def _inside(bundle: Bundle) -> str:
    return f"""{aligned([("INSIDE", ""), *bundle.contents])}

Left out: stored secrets, the API token, values of `env`, passwords in URLs. The logs hold what your code printed:
read them before you give the file to somebody else.

{bundle.path}"""
