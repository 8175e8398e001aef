"""``shipway cluster check``: every right and feature tried."""

from __future__ import annotations

from urllib.parse import quote

import click

from shipway.cli.cluster.findings import missing, text
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.starting import ensured
from shipway.deploy.documents import OBJECTS


@click.command()
@click.argument("name")
@act_output
def check(name: str, output: str) -> int:
    """Look at cluster NAME: connection, rights, registry, features; say what is missing and what to do.

    Exit code 1 when something that is needed is missing.
    """
    hub = ensured()
    spec = hub.get(f"{OBJECTS}/clusters/{quote(name)}")["spec"]
    findings = hub.post("/v1/clusters/check", {"name": name, "spec": spec})["findings"]
    emit({"findings": findings}, output, text(findings))
    return 1 if missing(findings) else 0
