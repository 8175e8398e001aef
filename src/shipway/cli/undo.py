"""``shipway undo``: a service goes back to an earlier revision."""

from __future__ import annotations

from urllib.parse import quote

import click

from shipway.cli.failure import Reported, tell
from shipway.cli.options import act_output
from shipway.cli.output import dumped
from shipway.cli.starting import ensured
from shipway.cli.up import display, interruptible
from shipway.deploy.follow import follow
from shipway.deploy.nouns import BY_KIND, target
from shipway.deploy.result import failure_text, headline
from shipway.deploy.world import World
from shipway.errors import UserError

_SERVICE = BY_KIND["ModelService"]


@click.command()
@click.argument("service", metavar="[services/]NAME")
@click.option("--to", default="", metavar="REVISION", help="Back to it, and not to the one before.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop waiting after this long.")
@act_output
def undo(service: str, to: str, timeout: float | None, output: str) -> None:
    """Go back to the revision before, with the version of the model that it had; wait until it serves.

    The project's file is not changed: the next `shipway up` applies it again.
    """
    plural, name = target(service, _SERVICE.plural)
    if plural != _SERVICE.plural:
        raise UserError(f"{service} has no revisions: services have", next_step="shipway undo services/NAME")
    hub = ensured()
    with interruptible():
        done = hub.post(f"/v1/services/{quote(name)}/undo", {"to": to})
        if output != "json":
            click.echo(done["message"])
        wanted, key = [(_SERVICE.kind, name, done["generation"])], (_SERVICE.kind, name)
        with display(output) as show:
            state = follow(hub, World.of(hub), wanted, {key}, show, timeout, ensured)
    if output == "json":
        click.echo(dumped({**done, "failures": [headline(one) for one in state.failures]}, output))
    for failure in state.failures:
        tell(failure_text(failure))
    if state.failures:
        raise Reported(1)
