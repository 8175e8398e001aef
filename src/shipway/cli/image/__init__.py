"""``shipway image``: the images that ``shipway build`` made, and any others. Without a command it lists them."""

from __future__ import annotations

import click

from shipway.cli.image.ls import ls
from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.options import read_output

COMMANDS = {
    "ls": Entry("shipway.cli.image.ls:ls", "List images: platforms, sizes, bases."),
    "show": Entry("shipway.cli.image.show:show", "Show what an image runs, its layers, and what is in each."),
    "diff": Entry("shipway.cli.image.diff:diff", "What differs between two images."),
    "sbom": Entry("shipway.cli.image.sbom:sbom", "Print the bill of materials of an image."),
    "verify": Entry("shipway.cli.image.verify:verify", "Read every byte of an image again."),
    "sign": Entry("shipway.cli.image.sign:sign", "Sign an image with a private key."),
    "push": Entry("shipway.cli.image.push:push", "Send an image to a registry."),
    "rm": Entry("shipway.cli.image.rm:rm", "Remove images; gc frees what they kept."),
}


@click.group(cls=LazyGroup, entries=COMMANDS, invoke_without_command=True)
@read_output
@click.pass_context
def image(context: click.Context, output: str) -> None:
    """Container images, without a daemon and without a hub.

    IMAGE is NAME[:TAG], a digest (sha256:...), or HOST/REPOSITORY[:TAG] for one in a registry.
    """
    if context.invoked_subcommand is None:
        context.invoke(ls, output=output)
