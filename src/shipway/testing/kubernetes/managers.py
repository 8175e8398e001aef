"""The entries of metadata.managedFields: who applied or updated what, and who is in whose way. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.testing.kubernetes.fields import (
    Path,
    abandoned,
    decode,
    encode,
    leaves,
    merge,
    ownable,
    text,
    without,
)
from shipway.testing.kubernetes.schema import Kind, Schema


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and how."""

    name: str
    operation: str  # Apply, Update
    api_version: str
    subresource: str = ""

    def in_words(self) -> str:
        """As a conflict names it."""
        through = f' with subresource "{self.subresource}"' if self.subresource else ""
        how = f" using {self.api_version}" if self.operation == "Update" else ""
        return f'"{self.name}"{through}{how}'


Owned = dict[Manager, set[Path]]


def read(obj: Mapping[str, Any]) -> Owned:
    """Who owns what of an object."""
    found: Owned = {}
    for one in obj.get("metadata", {}).get("managedFields", ()):
        manager = Manager(one["manager"], one["operation"], one["apiVersion"], one.get("subresource", ""))
        found[manager] = decode(one["fieldsV1"])
    return found


def write(obj: dict[str, Any], owned: Owned, previous: Mapping[str, Any] | None, now: str) -> None:
    """Set the entries; one whose fields did not change keeps its time."""
    before = {_of(one): one for one in (previous or {}).get("metadata", {}).get("managedFields", ())}
    entries = []
    for manager, paths in owned.items():
        if not paths:
            continue
        fields = encode(paths)
        kept = before.get(manager)
        entry: dict[str, Any] = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        if manager.subresource != "scale":  # whose entries have no time
            entry["time"] = kept["time"] if kept and kept["fieldsV1"] == fields else now
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    entries.sort(key=lambda one: (one["operation"], one.get("time", ""), one["manager"]))
    obj["metadata"].pop("managedFields", None)
    if entries:
        obj["metadata"]["managedFields"] = entries


def _of(entry: Mapping[str, Any]) -> Manager:
    return Manager(entry["manager"], entry["operation"], entry["apiVersion"], entry.get("subresource", ""))


def updated(schema: Schema, kind: Kind, live: Mapping[str, Any] | None, new: Mapping[str, Any], by: Manager) -> Owned:
    """Who owns what after a write of all: what it changed is its own, and nobody else's."""
    before = leaves(schema, kind.type, ownable(live)) if live else {}
    after = leaves(schema, kind.type, ownable(new))
    written = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    owned = read(live or {})
    mine = owned.get(by, set())
    rest = {manager: paths - written - gone for manager, paths in owned.items() if manager != by}
    return {**rest, by: (mine | written) - gone}


@dataclass(frozen=True, slots=True)
class Merged:
    """What an apply makes of an object. ``conflicts``: path in words, and whose it is."""

    object: dict[str, Any]
    owned: Owned
    conflicts: tuple[tuple[str, Manager], ...] = ()


def applied(
    schema: Schema, kind: Kind, live: Mapping[str, Any], config: Mapping[str, Any], by: Manager, *, force: bool
) -> Merged:
    """``config`` applied over ``live`` (which may be ``{}``)."""
    wanted = ownable(config)
    asked = set(leaves(schema, kind.type, wanted))
    owned = read(live)
    mine = owned.pop(by, set())
    merged = merge(schema, kind.type, dict(live), dict(config)) if live else dict(config)
    before = leaves(schema, kind.type, ownable(live)) if live else {}
    after = leaves(schema, kind.type, ownable(merged))
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    conflicts = [(path, other) for other, paths in owned.items() for path in sorted(paths & changed & asked)]
    if conflicts and not force:
        return Merged(dict(live), {**owned, by: mine}, tuple((text(path), other) for path, other in conflicts))
    for path, other in conflicts:
        owned[other] = owned[other] - {path}
    others = {path for paths in owned.values() for path in paths}
    left = without(schema, kind.type, merged, abandoned(mine, asked, others))
    for must in ("apiVersion", "kind", "metadata"):
        left[must] = left.get(must, merged[must])
    return Merged(left, {**owned, by: asked})
