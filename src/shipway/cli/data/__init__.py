"""``shipway data``: data sets and what can be done with them. Without a command it lists them."""

from __future__ import annotations

import click

from shipway.cli.data.ls import ls
from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.options import read_output

COMMANDS = {
    "add": Entry("shipway.cli.data.add:add", "Make a version of files that are here or in an object store."),
    "ls": Entry("shipway.cli.data.ls:ls", "List data sets, or the versions of one."),
    "show": Entry("shipway.cli.data.show:show", "Show a version: its files, digests, labels, where from."),
    "diff": Entry("shipway.cli.data.diff:diff", "What changed from one version to another."),
    "pull": Entry("shipway.cli.data.pull:pull", "Bring a data set into a folder, or from a registry into the home."),
    "push": Entry("shipway.cli.data.push:push", "Send a version to a registry."),
    "rm": Entry("shipway.cli.data.rm:rm", "Forget a version, or a data set with all of them."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@read_output
@click.pass_context
def data(context: click.Context, output: str) -> None:
    """Versions of data: pinned by digest, so that a job's result says which files it was made of."""
    if context.invoked_subcommand is None:
        context.invoke(ls, name=None, output=output)
