"""``shipway models verify``: whether every byte of a version is what its digest says, and who signed it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.failure import Reported
from shipway.cli.models.keys import public_key
from shipway.cli.models.reference import VERSION
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import verification
from shipway.errors import Corrupt, Refused
from shipway.signing import Verdict, judge
from shipway.transfer import size


@click.command()
@click.argument("version", metavar="NAME[:N|ALIAS]|REFERENCE", type=VERSION)
@click.option("--key", "key_file", metavar="FILE", help="The public key with which it must be signed, in PEM.")
@click.option("--plain-http", is_flag=True, help="Speak HTTP without TLS to a host that is not this machine.")
@act_output
def verify(version: str, key_file: str | None, plain_http: bool, output: str) -> None:
    """Read every byte of a version again, here or in a registry, and list what is damaged.

    With --key it must be signed with that key, too. Exit code 5 when something is damaged, 2 when it is not signed.
    """
    key = public_key(key_file) if key_file else None
    path, body = verification(version, plain_http=plain_http)
    answer = dict(run(path, body, output))
    bundles = [base64.b64decode(one) for one in answer.pop("signatures")]
    verdict = judge(answer["digest"], bundles, key) if key is not None else None
    found = answer if verdict is None else {**answer, "signed": verdict.to_json()}
    emit(found, output, _told(found, len(bundles), verdict))
    if found["damage"]:
        raise Reported(Corrupt.exit_code)
    if verdict is not None and not verdict.trusted:
        raise Reported(Refused.exit_code)


def _told(found: Mapping[str, Any], signatures: int, verdict: Verdict | None) -> str:
    damage = [f"{one['what']} {one['digest']}: {one['problem']}" for one in found["damage"]]
    whole = f"{len(damage)} damaged" if damage else "whole"
    lines = [*damage, f"{found['what']}: {whole}, {found['blobs']} blobs, {size(found['bytes'])}, {found['digest']}"]
    if verdict is not None:
        return "\n".join([*lines, *verdict.lines])
    said = f"{signatures} signature(s), not looked at: say --key FILE" if signatures else "not signed"
    return "\n".join([*lines, said])
