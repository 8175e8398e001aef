"""How ``models verify`` and ``image verify`` end: what is damaged, who signed it, and the exit code."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from shipway.cli.failure import Reported
from shipway.cli.models.keys import public_key
from shipway.cli.output import emit
from shipway.errors import Corrupt, Refused
from shipway.signing import Verdict, judge
from shipway.transfer import size


def tell(read: Callable[[], Mapping[str, Any]], key_file: str | None, output: str) -> None:
    """Print what ``read`` found, judged with the public key in a file.

    Raises Reported with 5 when something is damaged, with 2 when there is a key and it did not sign; UserError for a
    file that holds no key, before anything is read.
    """
    key = public_key(key_file) if key_file else None
    answer = dict(read())
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
