"""``shipway data pull``: a data set comes here, from the home into a folder or from a registry into the home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.data.add import told
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.data import is_reference, version_of, versions_of
from shipway.deploy.transfers import local, name_in
from shipway.errors import UserError
from shipway.transfer import size


@click.command()
@click.argument("what", metavar="NAME[:N]|REFERENCE")
@click.argument("folder", metavar="DIR", required=False)
@click.option("--as", "name", metavar="NAME", help="Of a REFERENCE: the data set that it becomes a version of.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a registry that is not this machine.")
@act_output
def pull(what: str, folder: str | None, name: str | None, plain_http: bool, output: str) -> None:
    """Bring a data set here: NAME[:N] into DIR, or a registry's REFERENCE into the home (and into DIR).

    Every byte is verified. Files that are in DIR already stay, so a pull that was broken off goes on; a file of other
    content is not written over.
    """
    if is_reference(what):
        body = {"reference": what, "plainHttp": plain_http}
        made = run(versions_of(name or name_in(what)), body, output)
        if folder is None:
            emit(made, output, told(made))
            return
        if output == "text":
            click.echo(told(made))
        what = f"{made['name']}:{made['version']}"
    elif folder is None:
        raise UserError(f"it is not said where the files of {what} go", next_step=f"shipway data pull {what} DIR")
    written = run(f"{version_of(what)}/write", {"path": local(folder)}, output)
    emit(written, output, _written(written))


def _written(written: Mapping[str, Any]) -> str:
    there = f", {written['there']} were there" if written["there"] else ""
    count = f"{written['files']} {'file' if written['files'] == 1 else 'files'}"
    return f"{written['name']}:{written['version']}: {count}, {size(written['bytes'])}, in {written['path']}{there}"
