"""``shipway why``: what happened to an object and why, what holds now, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import click

from shipway.cli.hubs import connect
from shipway.cli.moments import local, moment
from shipway.cli.options import output_option
from shipway.cli.output import emit
from shipway.client import HubClient
from shipway.deploy.documents import OBJECTS
from shipway.deploy.nouns import BY_KIND, target
from shipway.errors import NotFound, UserError

# Made by Shipway for a service of nearly the same name: asked for by KIND/NAME only.
_NOT_BY_NAME = ("Route",)


@click.command()
@click.argument("name", metavar="[KIND/]NAME")
@click.option("--since", metavar="TIME", help="Leave out what was before: 30m, 1h, 7d, or an ISO time.")
@output_option("text", "json", "yaml")
def why(name: str, since: str | None, output: str) -> None:
    """Tell why an object is as it is: job/digits, model/digits, service/digits; digits alone if only one has that name.

    Of an object that was deleted the journal still knows.
    """
    hub, now = connect(), datetime.now(UTC)
    plural, name = target(name)
    plural = plural or _only(hub, name)
    begin = moment(since, now).isoformat() if since else ""
    query = f"?{urlencode({'since': begin})}" if begin else ""
    story = hub.get(f"/v1/why/{plural}/{quote(name)}{query}")
    emit(story, output, told(story, now, begin))


def told(story: Mapping[str, Any], now: datetime, begin: str = "") -> str:
    """The story, asked for since ``begin``, as text."""
    gone = "" if story["exists"] else "  (it does not exist any more)"
    parts = [f"{story['subject']}{gone}", *_block("", _happened(story, now, begin))]
    parts += _block("now", _holds(story["now"], story["subject"], now))
    parts += _block("next", _steps(story, now))
    return "\n".join(parts)


def _block(title: str, lines: Iterable[str]) -> list[str]:
    told = [f"  {line}" for line in lines]
    return [*([title] if title and told else []), *told]


def _happened(story: Mapping[str, Any], now: datetime, begin: str) -> Iterable[str]:
    for one in story["lines"]:
        when = local(one["at"], now)
        if one["count"] > 1 and one["since"]:
            when = f"{local(one['since'], now)} - {when}"
        # Whose it is, where it is not the one that was asked for.
        whose = "" if one["subject"] == story["subject"] else f"{one['subject']}: "
        yield f"{when}  {whose}{one['text']}"
    if not story["lines"]:
        yield f"the journal has no line about it{f' since {local(begin, now)}' if begin else ''}"


def _holds(holding: Iterable[Mapping[str, Any]], subject: str, now: datetime) -> Iterable[str]:
    for one in holding:
        whose = "" if one["subject"] == subject else f"{one['subject']} "
        since = f" since {local(one['since'], now)}" if one["since"] else ""
        yield f"{whose}{one['type']} is {one['status']}{since}: {one['text']} ({one['reason']})"


def _steps(story: Mapping[str, Any], now: datetime) -> Iterable[str]:
    for one in story["next"]:
        at = f" at {local(one['at'], now)}" if one["at"] else ""
        yield f"{one['text']}{at}" + (f": {one['command']}" if one["command"] else "")
    if story["exists"] and not story["next"]:
        yield "nothing needs to be done"


def _only(hub: HubClient, name: str) -> str:
    items = hub.get(OBJECTS)["items"]
    found = [one["kind"] for one in items if one["metadata"]["name"] == name and one["kind"] not in _NOT_BY_NAME]
    if not found:
        raise NotFound(f"there is nothing named {name!r}", next_step=f"of what was deleted: shipway why KIND/{name}")
    if len(found) > 1:
        words = ", ".join(f"shipway why {_word(kind)}/{name}" for kind in found)
        raise UserError(f"{len(found)} objects are named {name!r}", next_step=f"say which: {words}")
    return BY_KIND[found[0]].plural


def _word(kind: str) -> str:
    return {"ModelJob": "job", "ModelService": "service"}.get(kind, kind.lower())
