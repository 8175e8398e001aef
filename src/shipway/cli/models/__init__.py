"""``shipway models``: what can be done with the versions of a model. Without a command it lists them."""

from __future__ import annotations

import click

from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.models.ls import ls
from shipway.cli.options import read_output

COMMANDS = {
    "ls": Entry("shipway.cli.models.ls:ls", "List models."),
    "show": Entry("shipway.cli.models.show:show", "Show the versions of a model; with :N, one with its lineage."),
    "history": Entry("shipway.cli.models.history:history", "Where and when its versions were live, by whom and why."),
    "optimize": Entry("shipway.cli.models.optimize:optimize", "Make a faster form that gives the same answers."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@read_output
@click.pass_context
def models(context: click.Context, output: str) -> None:
    """Versions of models: what made them, where they are live, where they are kept."""
    if context.invoked_subcommand is None:
        context.invoke(ls, output=output)
