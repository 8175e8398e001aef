"""``shipway models``: what can be done with the versions of a model. Without a command it lists them."""

from __future__ import annotations

import click

from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.models.ls import ls
from shipway.cli.options import read_output

COMMANDS = {
    "ls": Entry("shipway.cli.models.ls:ls", "List models, or the versions of one."),
    "show": Entry("shipway.cli.models.show:show", "Show the versions of a model; with :N, all of one."),
    "diff": Entry("shipway.cli.models.diff:diff", "What differs between two versions."),
    "tag": Entry("shipway.cli.models.tag:tag", "Let an alias name a version; champion, too."),
    "rm": Entry("shipway.cli.models.rm:rm", "Remove a version, or a model with all of them."),
    "push": Entry("shipway.cli.models.push:push", "Send a version to a registry."),
    "pull": Entry("shipway.cli.models.pull:pull", "Fetch a version from a registry."),
    "import": Entry("shipway.cli.models.import_:import_", "Make a version of files that are here."),
    "export": Entry("shipway.cli.models.export:export", "Write a version's files, or an OCI layout, elsewhere."),
    "verify": Entry("shipway.cli.models.verify:verify", "Read every byte of a version again."),
    "sign": Entry("shipway.cli.models.sign:sign", "Sign a version with a private key."),
    "keygen": Entry("shipway.cli.models.keygen:keygen", "Make a key pair to sign versions with."),
    "history": Entry("shipway.cli.models.history:history", "Which versions were live or champion, when and why."),
    "optimize": Entry("shipway.cli.models.optimize:optimize", "Make a faster form that gives the same answers."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@read_output
@click.pass_context
def models(context: click.Context, output: str) -> None:
    """Versions of models: what made them, where they are live, where they are kept."""
    if context.invoked_subcommand is None:
        context.invoke(ls, output=output)
