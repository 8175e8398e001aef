"""From one object to another: the fields that differ, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shipway.jobs import without_login
from shipway.kinds import Object

_UNSPOKEN = "..."  # values of variables may be what they should not be, and a diff ends in logs


def differences(before: Object | None, after: Object) -> list[dict[str, Any]]:
    """``{field, from, to}`` each, as ``spec.resources.memory``; of a variable only that it differs. Nothing for an
    object that is new."""
    if before is None:
        return []
    old, new = _declared(before), _declared(after)
    return [{"field": path, "from": one, "to": other} for path, one, other in _differing("", old, new)]


def _declared(obj: Object) -> dict[str, Any]:
    document = obj.to_json()
    metadata = {name: document["metadata"].get(name, {}) for name in ("labels", "annotations")}
    return {"metadata": metadata, "spec": document["spec"]}


def _differing(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _differing(f"{path}.{name}".lstrip("."), before.get(name), after.get(name))
    elif path.startswith("spec.env."):
        yield path, before and _UNSPOKEN, after and _UNSPOKEN
    else:
        yield path, _shown(path, before), _shown(path, after)


def _shown(path: str, value: Any) -> Any:
    if path == "spec.requirements" and isinstance(value, list):
        return [without_login(line) for line in value]
    return value
