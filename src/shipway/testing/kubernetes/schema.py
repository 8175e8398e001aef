"""Which kinds there are and what their values look like: read from what a real API server published (schema.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

Shape = Any  # see tests/kubernetes/schema.py, which writes them
Child = tuple[str, Shape, Any]  # its element in a path ("f:spec", 'k:{"name":"main"}'), its shape, its value


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource. ``subresources``: "status", "scale", "log"..."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    type: str = "any"
    verbs: tuple[str, ...] = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    subresources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    discovery: Mapping[str, Any] = field(default_factory=dict)

    @property
    def api_version(self) -> str:
        """As objects say it: "apps/v1", "v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages say it: "deployments.apps", "pods"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(slots=True)
class Schema:
    """Kinds by (group, version, plural), and the types.

    ``without`` forgets a field, as a server older than it; ``gate`` knows it and drops it, as one whose feature is off.
    """

    kinds: dict[tuple[str, str, str], Kind]
    types: dict[str, dict[str, Any]]
    gated: set[tuple[str, str]] = field(default_factory=set)

    def find(self, api_version: str, kind: str) -> Kind:
        """Of an object. Raises KeyError."""
        for one in self.kinds.values():
            if (one.api_version, one.kind) == (api_version, kind):
                return one
        raise KeyError(f"{api_version} {kind}")

    def named(self, plural: str) -> Kind:
        """The first of that plural. Raises KeyError."""
        for one in self.kinds.values():
            if one.plural == plural:
                return one
        raise KeyError(plural)

    def add(self, kind: Kind) -> None:
        """One more, as a CustomResourceDefinition does: everything in it that is a list is atomic."""
        self.kinds[kind.group, kind.version, kind.plural] = kind

    def without(self, type: str, name: str) -> None:
        """This server does not know the field yet: it is dropped from what is sent, and refused where it is applied."""
        fields = {one: shape for one, shape in self.types[type]["fields"].items() if one != name}
        self.types[type] = {**self.types[type], "fields": fields}

    def gate(self, type: str, name: str) -> None:
        """The feature of this field is off."""
        self.gated.add((type, name))

    def drop_gated(self, shape: Shape, value: Any) -> None:
        """In place."""
        if not self.gated:
            return
        if isinstance(shape, str) and shape in self.types and isinstance(value, dict):
            for name in [name for name in value if (shape, name) in self.gated]:
                del value[name]
            for name, one in value.items():
                self.drop_gated(self.types[shape]["fields"].get(name, "any"), one)
        elif isinstance(shape, dict):
            inner = next(shape[part] for part in ("map", "list", "set", "items") if part in shape)
            for one in value.values() if isinstance(value, dict) else value:
                self.drop_gated(inner, one)

    def children(self, shape: Shape, value: Any) -> Iterator[Child] | None:
        """The parts that have owners of their own; None of a scalar, and of what has one owner as a whole."""
        if isinstance(shape, str):
            known = self.types.get(shape)
            if not isinstance(value, dict) or (known is not None and known.get("atomic")):
                return None
            fields = known["fields"] if known else {}
            return ((f"f:{name}", fields.get(name, "any"), one) for name, one in value.items())
        if shape.get("atomic") or "list" in shape:
            return None
        if "map" in shape and isinstance(value, dict):
            return ((f"f:{name}", shape["map"], one) for name, one in value.items())
        if "items" in shape and isinstance(value, list):
            return ((self.item(shape, one), shape["items"], one) for one in value)
        if "set" in shape and isinstance(value, list):
            return (("v:" + compact(one), shape["set"], one) for one in value)
        return None

    def item(self, shape: Shape, value: Mapping[str, Any]) -> str:
        """The path element of an item of a list that is a map by the keys of its items."""
        defaults = self.types.get(shape["items"], {}).get("defaults", {})
        keys = {name: value.get(name, defaults.get(name)) for name in shape["keys"]}
        return "k:" + compact({name: one for name, one in sorted(keys.items()) if one is not None})

    def prune(self, shape: Shape, value: Any, path: str = "") -> list[str]:
        """Drop what this server does not know, in place; the dropped paths: "spec.template.spec.volumes[0].image"."""
        if isinstance(value, dict) and isinstance(shape, str) and shape in self.types:
            fields = self.types[shape]["fields"]
            unknown = [name for name in value if name not in fields]
            for name in unknown:
                del value[name]
            nested = [self.prune(fields[name], one, _dot(path, name)) for name, one in value.items()]
            return [_dot(path, name) for name in unknown] + [one for each in nested for one in each]
        if isinstance(shape, dict) and isinstance(value, dict) and "map" in shape:
            return [one for name, each in value.items() for one in self.prune(shape["map"], each, _dot(path, name))]
        if isinstance(shape, dict) and isinstance(value, list):
            inner = shape.get("list") or shape.get("set") or shape.get("items")
            return [one for at, each in enumerate(value) for one in self.prune(inner, each, f"{path}[{at}]")]
        return []


def _dot(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def compact(value: Any) -> str:
    """JSON as paths of managed fields hold it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


@cache
def _published() -> Mapping[str, Any]:
    document = resources.files("shipway.testing.kubernetes").joinpath("schema.json").read_text()
    return json.loads(document)  # type: ignore[no-any-return]


def schema() -> Schema:
    """A new one, which a server may change for itself."""
    found = _published()
    kinds: dict[tuple[str, str, str], Kind] = {}
    subresources: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in found["resources"]:
        group, version = one["of"]
        plural, _, sub = one["name"].partition("/")
        key = (group, version, plural)
        discovery = {name: value for name, value in one.items() if name not in ("of", "type")}
        if sub:
            subresources.setdefault(key, {})[sub] = discovery
        else:
            verbs = tuple(one["verbs"])
            kinds[key] = Kind(group, version, plural, one["kind"], one["namespaced"], one["type"], verbs, {}, discovery)
    whole = {
        key: Kind(
            one.group, one.version, one.plural, one.kind, one.namespaced, one.type, one.verbs, subs, one.discovery
        )
        for key, one in kinds.items()
        for subs in (subresources.get(key, {}),)
    }
    return Schema(whole, dict(found["types"]))
