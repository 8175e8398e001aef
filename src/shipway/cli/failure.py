"""The one place where an error becomes text on stderr, JSON on stdout, and an exit code."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from typing import Any

import click

from shipway.cli.options import Invocation
from shipway.errors import EnvironmentFault, PlatformError, ShipwayError, UserError
from shipway.settings import no_colour

INTERRUPTED = 128 + signal.SIGINT
PIPE_CLOSED = 128 + signal.SIGPIPE

_AGAIN = "install Shipway again: pip install --force-reinstall shipway"
_REPORT = "This is a bug of Shipway: please report it with the lines above."


class Reported(click.exceptions.Exit):
    """The command said everything itself; only the exit code is left."""


def end_of(error: BaseException, invocation: Invocation) -> int:
    """Tell the error in the format of the command; its exit code."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case SystemExit():
            # click ends the process so when nobody reads stdout any more.
            return PIPE_CLOSED if error.code == 1 else int(error.code or 0)
        case ShipwayError():
            return _failed(error, invocation)
        case click.ClickException():
            context = getattr(error, "ctx", None)
            return _failed(UserError(error.format_message(), next_step=f"see {_path(context)} --help"), invocation)
        case ModuleNotFoundError() if not (error.name or "").startswith("shipway"):
            lost = f"the Python package {error.name!r}, which Shipway needs, is not installed"
            return _failed(EnvironmentFault(lost, next_step=_AGAIN), invocation)
        case KeyboardInterrupt() | click.Abort():
            click.echo("interrupted", err=True)
            return INTERRUPTED
        case BrokenPipeError():
            return PIPE_CLOSED
        case _:
            traceback.print_exception(error, file=sys.stderr)
            bug = PlatformError(f"{type(error).__name__}: {error}", next_step=_REPORT)
            return _failed(bug, invocation)


def _failed(error: ShipwayError, invocation: Invocation) -> int:
    tell(error.message, error.next_step)
    if invocation.output == "json":
        click.echo(json.dumps({"error": error.to_json()}))
    return error.exit_code


def _path(context: click.Context | None) -> str:
    return context.command_path if context is not None else "shipway"


def tell(message: str, next_step: str = "") -> None:
    """An error on stderr: what, and what to do."""
    click.echo(click.style("error: ", fg="red", bold=True) + _shown(message), err=True, color=colour(sys.stderr))
    if next_step:
        click.echo(_shown(next_step), err=True)


def _shown(text: str) -> str:
    """Tags and names of files, which strangers choose, stand in errors: none of them moves the terminal's cursor."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)


def colour(stream: Any) -> bool:
    """Whether to send colours there: a terminal, and NO_COLOR (no-color.org) is not set."""
    return bool(stream.isatty()) and not no_colour()
