"""``shipway predict``: one request to a service, through the gateway or into its cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shipway.cli.hubs import connect
from shipway.client import call
from shipway.deploy.documents import OBJECTS
from shipway.deploy.reach import url_of
from shipway.deploy.requests import checked, path_for
from shipway.errors import UserError


@click.command()
@click.argument("name")
@click.argument("dash", required=False, metavar="[-]")
@click.option("-d", "--data", metavar="JSON", help="The body.")
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file with the body.")
def predict(name: str, dash: str | None, data: str | None, file: Path | None) -> None:
    """Send a body to service NAME and print its answer; - reads it from stdin.

    For a model, a body with "inputs" goes to the Open Inference Protocol, any other to /predict.
    """
    body = _body(dash, data, file)
    hub = connect()
    service = hub.get(f"{OBJECTS}/modelservices/{name}")
    answer = checked(service, call("POST", url_of(hub, service) + path_for(service, body), body))
    click.echo(answer.text.rstrip("\n"))


def _body(dash: str | None, data: str | None, file: Path | None) -> bytes:
    if [dash is None, data is None, file is None].count(False) != 1 or dash not in (None, "-"):
        raise UserError("give the body once: -d JSON, --file FILE, or - for stdin")
    if data is not None:
        return data.encode()
    return file.read_bytes() if file is not None else sys.stdin.buffer.read()
