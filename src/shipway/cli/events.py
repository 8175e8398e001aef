"""``shipway events``: the journal, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click

from shipway.cli.hubs import connect
from shipway.cli.moments import local, moment
from shipway.cli.options import output_option
from shipway.cli.output import dumped
from shipway.deploy.nouns import NOUNS, target
from shipway.errors import UserError

_KINDS = {noun.plural: noun.kind for noun in NOUNS}
_DATA = "data/"  # begins what is no object: a data set


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option("--for", "of", metavar="KIND/NAME", help="Only what is about this object, or data/NAME.")
@click.option("--type", "type_", type=click.Choice(["decision", "event", "ledger"]), help="Only these.")
@click.option("--since", metavar="TIME", help="Not older than 30m, 1h, 7d, or an ISO time.")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The last N.")
@output_option("text", "json", "yaml")
def events(follow: bool, of: str | None, type_: str | None, since: str | None, count: int, output: str) -> None:
    """Print what was decided and what happened, oldest first; -o json has the numbers."""
    now = datetime.now(UTC)
    asked: dict[str, str | int] = {"newest": "true", "limit": count}
    if of is not None:
        asked["subject"] = _subject(of)
    if type_ is not None:
        asked["type"] = type_
    if since is not None:
        asked["since"] = moment(since, now).isoformat()
    if follow:
        stream = connect().stream(f"/v1/journal?{urlencode({**asked, 'follow': 'true'})}")
        for event, entry in stream:
            if event == "entry":
                click.echo(("---\n" if output == "yaml" else "") + _printed(entry, now, output))
        return
    entries = connect().get(f"/v1/journal?{urlencode(asked)}")["entries"]
    none = "nothing of that is in the journal" if of or type_ or since else "nothing is in the journal"
    text = "\n".join(_line(one, now) for one in entries) or none
    click.echo(text if output == "text" else dumped(entries, output))


def _printed(entry: Mapping[str, Any], now: datetime, output: str) -> str:
    return _line(entry, now) if output == "text" else dumped(entry, output)


def _subject(text: str) -> str:
    if text.startswith(_DATA):
        return f"Data/{text.removeprefix(_DATA)}"
    plural, name = target(text)
    if not plural:
        raise UserError(f"--for {text} names no kind", next_step=f"for example --for job/{text}")
    return f"{_KINDS[plural]}/{name}"


def _line(entry: Mapping[str, Any], now: datetime) -> str:
    message = str(entry["message"]).partition("\n")[0]
    return f"{local(entry['at'], now)}  {entry['type']:<8}  {entry['subject']}  {entry['reason']}  {message}".rstrip()
