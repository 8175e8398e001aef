"""``shipway gc``: what nothing needs, and away with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli import operation
from shipway.cli.options import act_output
from shipway.cli.output import aligned, emit
from shipway.transfer import size


@click.command()
@click.option("--yes", is_flag=True, help="Delete it.")
@act_output
def gc(yes: bool, output: str) -> None:
    """Show what nothing needs any more; --yes deletes it.

    Files of deleted versions, sources that no job and no version names, downloads that were cut short, unpacked copies
    that nothing uses.
    """
    found = operation.run("/v1/gc", {"dryRun": not yes}, output)
    emit(found, output, _text(found))


def _text(found: Mapping[str, Any]) -> str:
    lines = [f"kept for now: {one}" for one in found["keptForNow"]]
    if not found["items"]:
        return "\n".join(["nothing to delete: all that is kept is needed", *lines])
    if not found["dryRun"]:
        return "\n".join([f"deleted {_words(found)}; {size(found['bytes'])} are free again", *lines])
    rows = [("WHAT", "COUNT", "SIZE", "WHY")]
    rows += [(one["what"], str(one["count"]), size(one["bytes"]), one["reason"]) for one in found["items"]]
    next_step = f"{size(found['bytes'])} would be free again: shipway gc --yes"
    return "\n".join([aligned(rows), *lines, next_step])


def _words(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{one['count']} {one['what']}" for one in found["items"])
