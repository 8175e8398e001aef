"""``shipway models pull``: a version of a registry becomes one of this home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.models.keys import public_key
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import name_in, versions_of
from shipway.formats import is_pickle
from shipway.transfer import size


@click.command()
@click.argument("reference")
@click.option("--as", "name", metavar="NAME", help="The model that it becomes a version of.")
@click.option("--tag", "tags", multiple=True, metavar="ALIAS", help="Let champion, or another alias, name it.")
@click.option("--key", "key_file", metavar="FILE", help="Refuse what is not signed with this public key, in PEM.")
@click.option("--trust", is_flag=True, help="Trust its maker: services may load it even if it is a pickle.")
@click.option("--referrers/--no-referrers", default=True, help="Signatures and what else refers to it come along.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@act_output
def pull(
    reference: str,
    name: str | None,
    tags: tuple[str, ...],
    key_file: str | None,
    trust: bool,
    referrers: bool,
    plain_http: bool,
    output: str,
) -> None:
    """Pull a version from a registry: it becomes the next version of the model.

    REFERENCE is HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]. Every byte is verified; what is here already is not fetched.
    It becomes champion only if the model has none, or with --tag champion.
    """
    options: dict[str, Any] = {"tags": tags, "trust": trust, "referrers": referrers, "plainHttp": plain_http}
    if key_file:
        options["key"] = public_key(key_file).to_pem().decode()
    made = run(versions_of(name or name_in(reference)), {"reference": reference, **options}, output)
    emit(made, output, told(made, trust=trust))
    if is_pickle(made["format"]) and not made["trusted"]:
        click.echo(
            "a pickle that was not made here: services load it with --trust, or allowPickle: true in them", err=True
        )


def told(made: Mapping[str, Any], *, trust: bool) -> str:
    """What became of a pull or an import, for people; ``trust``: it was asked for."""
    version, digest = f"{made['name']}:{made['version']}", made["digest"]
    is_champion = ["champion"] if made["champion"] else []
    is_trusted = ["trusted"] if trust else []
    if made["there"]:
        return ", ".join([f"{version} is there already: the same files", digest, *is_champion, *is_trusted])
    return ", ".join([f"{version}: {made['format']}", size(made["size"]), digest, *is_champion, *is_trusted])
