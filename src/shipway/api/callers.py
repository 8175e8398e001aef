"""Who asks: what the client says of itself, kept in the journal with what was asked for.

No proof of identity: whoever may open the socket is the hub's owner, or root. It answers "which of my commands
did this, and from which account", and not more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from shipway.api.requests import backend
from shipway.client import BY
from shipway.kinds import Object

_LONGEST = 100  # characters


def caller(request: Request) -> str:
    """``ada (shipway up)``, or that it did not say."""
    said = "".join(one for one in request.headers.get(BY, "") if one.isprintable())[:_LONGEST].strip()
    return said or "a client of the API"


def applied(request: Request, stored: Object | None, after: Object) -> None:
    """Somebody made an object, or changed what it declares."""
    changed = _differences(stored, after) if stored is not None else []
    result = "created" if stored is None else "configured"
    by, what = caller(request), f"changed {', '.join(changed)}" if changed else result
    data = {"result": result, "generation": after.metadata.generation, "changed": changed}
    backend(request).asked(f"{after.kind}/{after.name}", "Applied", f"{what} by {by}", by, data)


def delete_asked(request: Request, kind: str, name: str) -> None:
    """Somebody wants an object to go."""
    by = caller(request)
    backend(request).asked(f"{kind}/{name}", "DeleteAsked", f"to be deleted, by {by}", by)


def _differences(before: Object, after: Object) -> list[str]:
    """Which of the declared fields differ: ``spec.params``, ``metadata.labels``."""
    told = []
    for part, names in (("metadata", ("labels", "annotations")), ("spec", None)):
        old: Mapping[str, Any] = before.to_json()[part]
        new: Mapping[str, Any] = after.to_json()[part]
        fields = sorted({*old, *new}) if names is None else names
        told += [f"{part}.{name}" for name in fields if old.get(name) != new.get(name)]
    return told
