"""``shipway cluster``: the places where services and jobs run. Without a command it lists them."""

from __future__ import annotations

import click

from shipway.cli.cluster.ls import ls
from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.options import read_output

COMMANDS = {
    "add": Entry("shipway.cli.cluster.add:add", "Add a Kubernetes cluster: check it, push the courier, own the place."),
    "ls": Entry("shipway.cli.cluster.ls:ls", "List clusters."),
    "show": Entry("shipway.cli.cluster.show:show", "Show what a cluster can do, and what runs there."),
    "check": Entry("shipway.cli.cluster.check:check", "Try every right and feature; say what is missing."),
    "rm": Entry("shipway.cli.cluster.rm:rm", "Forget a cluster where nothing runs."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@read_output
@click.pass_context
def cluster(context: click.Context, output: str) -> None:
    """Places to run: this machine (local), and any Kubernetes. Nothing is installed there."""
    if context.invoked_subcommand is None:
        context.invoke(ls, output=output)
