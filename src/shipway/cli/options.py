"""Options that several commands share, and the formats behind ``-o``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Invocation:
    """What ``main`` must know when a command fails; the commands fill it while they parse."""

    output: str = "table"


def output_option(*formats: str) -> Callable[[_Command], _Command]:
    """``-o`` with these formats; the first is the default."""

    def remember(context: click.Context, _: click.Parameter, value: str) -> str:
        if isinstance(context.obj, Invocation):
            context.obj.output = value
        return value

    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        callback=remember,
        # A wrong argument further on must be reported in this format too.
        is_eager=True,
        help="How to print.",
    )


read_output = output_option("table", "wide", "json", "yaml")
act_output = output_option("text", "json")
