"""What applying would change: fields of an object as it is and as it would be. Pure.

Values of Secrets are never shown, only that they differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shipway.cluster.kubernetes.apply.decide import Key, key_of
from shipway.cluster.kubernetes.names import APPLIED, Manifest

HIDDEN = "(hidden)"
_OF_THE_SERVER = frozenset({"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"})
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: ``.spec.template.spec.containers[main].image``. ``None``: it is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """One object. ``fields`` are of a change; ``conflicts`` are other managers who hold fields that would change."""

    key: Key
    change: Literal["create", "change", "delete"]
    fields: tuple[FieldChange, ...] = ()
    conflicts: tuple[str, ...] = ()


def fields_changed(before: Manifest, after: Manifest) -> tuple[FieldChange, ...]:
    """Fields that differ, by path, without what the API server keeps for itself and the status."""
    found = _walk(_plain(before), _plain(after), "")
    if key_of(before).kind != "Secret":
        return tuple(found)
    return tuple(_hidden(one) if one.path.startswith((".data", ".stringData")) else one for one in found)


def _plain(manifest: Manifest) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in _OF_THE_SERVER}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != APPLIED}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    rest = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def _hidden(one: FieldChange) -> FieldChange:
    # A whole map would show its keys' values, too.
    return FieldChange(one.path, None if one.before is None else HIDDEN, None if one.after is None else HIDDEN)


def _walk(before: Any, after: Any, path: str) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _walk(before.get(key, _ABSENT), after.get(key, _ABSENT), f"{path}.{key}")
    elif _named(before) and _named(after):
        left, right = ({one["name"]: one for one in side} for side in (before, after))
        for key in [*left, *(key for key in right if key not in left)]:
            yield from _walk(left.get(key, _ABSENT), right.get(key, _ABSENT), f"{path}[{key}]")
    else:
        yield FieldChange(path, None if before is _ABSENT else before, None if after is _ABSENT else after)


def _named(value: Any) -> bool:
    """A list whose items are told apart by their name, as containers and variables are."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    names = [one.get("name") if isinstance(one, Mapping) else None for one in value]
    return None not in names and len(set(names)) == len(names)
