"""What a look at a cluster found, as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

Findings = Sequence[Mapping[str, Any]]

_COLOURS = {"ok": "green", "degraded": "yellow", "missing": "red"}


def text(findings: Findings) -> str:
    """A line for each, what to do below it where something is to be done, and how many there are of a kind."""
    names = max((len(one["name"]) for one in findings), default=0)
    states = max(map(len, _COLOURS))
    lines = []
    for one in findings:
        state = click.style(one["state"].ljust(states), fg=_COLOURS.get(one["state"]))
        lines.append(f"{one['name'].ljust(names)}  {state}  {one['message']}")
        if one["state"] != "ok" and one.get("nextStep"):
            lines.append(f"{' ' * (names + states + 4)}{one['nextStep']}")
    counts = [f"{sum(one['state'] == state for one in findings)} {state}" for state in _COLOURS]
    return "\n".join([*lines, "", ", ".join(counts)])


def missing(findings: Findings) -> Findings:
    """What is not there and is needed."""
    return [one for one in findings if one["state"] == "missing"]
