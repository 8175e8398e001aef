"""``shipway models push``: a version goes to a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway import settings
from shipway.cli.models.reference import VERSION
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import push_target, version_of


@click.command()
@click.argument("version", metavar="NAME[:N|ALIAS]", type=VERSION)
@click.argument("reference", required=False)
@click.option("--also-tag", multiple=True, metavar="TAG", help="A further tag of the registry; may be repeated.")
@click.option("--referrers/--no-referrers", default=True, help="Signatures and what else refers to it go along.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@act_output
def push(
    version: str, reference: str | None, also_tag: tuple[str, ...], referrers: bool, plain_http: bool, output: str
) -> None:
    """Push a version to a registry; only what it does not have travels.

    REFERENCE is HOST[:PORT]/REPOSITORY[:TAG]: by default NAME in $SHIPWAY_REGISTRY, tagged with the version's number.
    """
    target = push_target(version, reference, settings.read().registry)
    body = {"reference": target, "alsoTag": also_tag, "referrers": referrers, "plainHttp": plain_http}
    pushed = run(version_of(version, "push"), body, output)
    emit(pushed, output, _told(pushed))


def _told(pushed: Mapping[str, Any]) -> str:
    tags = f"\ntags: {', '.join(pushed['tags'])}" if len(pushed["tags"]) > 1 else ""
    return f"pushed {pushed['name']}:{pushed['version']} to {pushed['reference']}{tags}"
