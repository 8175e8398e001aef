"""``shipway``: finds the command in a table, imports its module, runs it, and turns its end into an exit code.

Rule: this module imports nothing that takes time; ``shipway --help`` must answer in 150 ms.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from shipway import __version__
from shipway.cli.failure import end_of
from shipway.cli.options import Invocation


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a command lives, and its line in the help."""

    place: str  # "shipway.cli.up:up"
    help: str


COMMANDS = {
    "init": _Entry("shipway.cli.init:init", "Look at a folder and write a shipway.yaml that works."),
    "up": _Entry("shipway.cli.up:up", "Train, version, deploy; wait until it answers."),
    "down": _Entry("shipway.cli.down:down", "Stop what runs; models are kept."),
    "status": _Entry("shipway.cli.status:status", "Everything at one look."),
    "predict": _Entry("shipway.cli.predict:predict", "Send a request to a service."),
    "logs": _Entry("shipway.cli.logs:logs", "What a job or a service printed."),
    "why": _Entry("shipway.cli.why:why", "What happened to an object and why, and what to do next."),
    "events": _Entry("shipway.cli.events:events", "The journal: what was decided and what happened."),
    "jobs": _Entry("shipway.cli.get:jobs", "List jobs."),
    "models": _Entry("shipway.cli.models:models", "List models; show a version, or where versions were live."),
    "services": _Entry("shipway.cli.get:services", "List services."),
    "get": _Entry("shipway.cli.get:get", "Print objects of any kind."),
    "apply": _Entry("shipway.cli.apply:apply", "Give the objects of a file to the hub, and do not wait."),
    "delete": _Entry("shipway.cli.apply:delete", "Delete an object, or the objects of a file."),
    "secret": _Entry("shipway.cli.secret:secret", "Values that never stand in YAML."),
    "doctor": _Entry("shipway.cli.doctor:doctor", "Say what is wrong with this machine; pack a bug report."),
    "hub": _Entry("shipway.cli.hub:hub", "The daemon behind the commands."),
    "completion": _Entry("shipway.cli.completion:completion", "Completion for your shell."),
}


class _Table(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            if ctx.resilient_parsing:  # completion asks for half a word
                return None
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1, cutoff=0.65)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no command {cmd_name!r}{hint}")
        module, _, name = entry.place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [
            CompletionItem(name, help=entry.help) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]
        return named or click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=_Table, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="shipway", message="%(prog)s %(version)s")
def cli() -> None:
    """From a folder of model code to a versioned, served model.

    Start with `shipway up FOLDER`; `shipway init FOLDER` writes the file that it needs.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code. Nothing is raised."""
    invocation = Invocation()
    try:
        result: Any = cli.main(arguments, prog_name="shipway", obj=invocation, standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # every end of a command has a code: docs/cli.md
        return end_of(error, invocation)
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point of the distribution."""
    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would report what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
