"""Server-side apply: who owns which field, what a merge makes, who is in its way. Pure.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and sigs.k8s.io/structured-merge-diff.
A path is a tuple of elements as FieldsV1 writes them: ("f:spec", "f:containers", 'k:{"name":"main"}', "f:image").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shipway.testing.kubernetes.schema import Schema, Shape

Path = tuple[str, ...]
_OF_THE_SYSTEM = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)


def ownable(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what no manager owns."""
    made = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in _OF_THE_SYSTEM}
    made.pop("metadata", None)
    return {**made, "metadata": metadata} if metadata else made


def leaves(schema: Schema, shape: Shape, value: Any, path: Path = ()) -> dict[Path, Any]:
    """What is owned of a value: its leaves, and the items and entries that hold some."""
    children = schema.children(shape, value)
    if children is None:
        return {path: value}
    found: dict[Path, Any] = {}
    entries = isinstance(shape, dict)  # of a map or a list: each of them is itself something to own
    empty = True
    for element, inner, one in children:
        empty = False
        below = leaves(schema, inner, one, (*path, element))
        if entries and (*path, element) not in below:
            found[(*path, element)] = None
        found |= below
    if empty and path:
        found[path] = value
    return found


def encode(paths: Iterable[Path]) -> dict[str, Any]:
    """FieldsV1 of a set of paths."""
    tree: dict[str, Any] = {}
    members = set(paths)
    for path in sorted(members):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    for path in members:
        node = tree
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return tree


def decode(tree: Mapping[str, Any], path: Path = ()) -> set[Path]:
    """The inverse of :func:`encode`."""
    if not tree:
        return {path} if path else set()
    found = {path} if "." in tree else set()
    for element, below in tree.items():
        if element != ".":
            found |= decode(below, (*path, element))
    return found


def merge(schema: Schema, shape: Shape, live: Any, wanted: Any) -> Any:
    """``wanted`` put over ``live``: what has parts with owners part by part, all else as a whole."""
    if schema.children(shape, wanted) is None or schema.children(shape, live) is None:
        return wanted
    old = {element: one for element, _, one in schema.children(shape, live) or ()}
    new = {element: (inner, one) for element, inner, one in schema.children(shape, wanted) or ()}
    both = {
        element: merge(schema, inner, old[element], one) if element in old else one
        for element, (inner, one) in new.items()
    }
    order = [*new, *(one for one in old if one not in new)] if old.keys() <= new.keys() else [*old, *new]
    values = {element: both.get(element, old.get(element)) for element in order}
    if isinstance(wanted, dict):
        return {element.removeprefix("f:"): one for element, one in values.items()}
    return list(values.values())


def without(schema: Schema, shape: Shape, value: Any, paths: set[Path], path: Path = ()) -> Any:
    """A value without those paths; what is left empty by it goes too. None when nothing is left."""
    children = schema.children(shape, value)
    if children is None:
        return value
    kept: dict[str, Any] = {}
    for element, inner, one in children:
        here = (*path, element)
        if here in paths:
            continue
        touched = any(gone[: len(here)] == here for gone in paths)
        left = without(schema, inner, one, paths, here) if touched else one
        if not touched or left not in (None, {}, []):
            kept[element] = left
    if isinstance(value, dict):
        return {element.removeprefix("f:"): one for element, one in kept.items()}
    return list(kept.values())


def abandoned(before: set[Path], now: set[Path], others: set[Path]) -> set[Path]:
    """What a manager owned, asks for no more, and nobody else owns, nor any part of it."""
    held = {path[:length] for path in now | others for length in range(1, len(path) + 1)}
    return {path for path in before - now if path not in held}


def text(path: Path) -> str:
    """As messages say it: ``.spec.template.spec.containers[name="main"].image``."""
    made = ""
    for element in path:
        kind, _, rest = element.partition(":")
        if kind == "f":
            made += f".{rest}"
        elif kind == "k":
            made += "[" + ",".join(f"{name}={json.dumps(one)}" for name, one in json.loads(rest).items()) + "]"
        else:
            made += f"[={rest}]"
    return made
