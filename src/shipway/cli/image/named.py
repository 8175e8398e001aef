"""Arguments and options that the commands share; names are completed with what the home has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from shipway import settings
from shipway.building.images.listed import tagged
from shipway.building.place import Place
from shipway.errors import ShipwayError

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Image(click.ParamType[str]):
    name = "image"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(ShipwayError):
            return [CompletionItem(one) for one in tagged(place().layout) if one.startswith(incomplete)]
        return []


IMAGE = _Image()


def place() -> Place:
    """The home of this process."""
    return Place(settings.read())


def plain_http(command: _Command) -> _Command:
    """``--plain-http``."""
    said = "Speak HTTP without TLS to a host that is not this machine."
    return click.option("--plain-http", is_flag=True, help=said)(command)


def platform(command: _Command) -> _Command:
    """``--platform``."""
    said = "Which, of an image for several; by default this machine's."
    return click.option("--platform", metavar="linux/ARCH", help=said)(command)
