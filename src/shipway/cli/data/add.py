"""``shipway data add``: files become the next version of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.data import added, labelled, versions_of
from shipway.transfer import size


@click.command()
@click.argument("name")
@click.argument("source", metavar="PATH|URI")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Stays with it; may be repeated.")
@click.option("--copy", is_flag=True, help="Of a URI: keep its files in this home too.")
@click.option("--secret", metavar="NAME", help="Of a URI: the secret with the store's credentials.")
@click.option("--endpoint", metavar="URL", help="Of a URI: another endpoint than the provider's.")
@click.option("--plain-http", is_flag=True, help="Of a URI: speak HTTP without TLS to a host that is not this machine.")
@act_output
def add(
    name: str,
    source: str,
    labels: tuple[str, ...],
    copy: bool,
    secret: str | None,
    endpoint: str | None,
    plain_http: bool,
    output: str,
) -> None:
    """Make a version of a folder, a file, or what an s3://, gs://, az:// or file:// URI names.

    A PATH is kept here, cut into chunks: what another version has already is not stored again. A URI is read once
    and pinned by digests; its files stay where they are.
    """
    options = {"keep": copy, "secret": secret, "endpoint": endpoint, "plainHttp": plain_http}
    body = {**added(source, options), "labels": labelled(labels)}
    made = run(versions_of(name), body, output)
    emit(made, output, told(made))


def told(made: Mapping[str, Any]) -> str:
    """What became of it, for people."""
    version = f"{made['name']}:{made['version']}"
    if made["there"]:
        newer = f"; the latest is {made['name']}:{made['latest']}" if made["latest"] != made["version"] else ""
        return f"{version} is there already: the same files, {made['digest']}{newer}"
    count = f"{made['files']} {'file' if made['files'] == 1 else 'files'}"
    pinned = "" if made["kept"] else ", pinned where they are"
    return f"{version}: {count}, {size(made['bytes'])}{pinned}, {made['digest']}"
