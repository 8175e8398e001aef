"""What changed between two runs: which component of the fingerprint, from what to what. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Changes = dict[str, dict[str, Any]]

_SHORT = 60  # characters of a value in a sentence; the journal's data has all of it
_DIGEST = re.compile(r"(@sha256:[0-9a-f]{12})[0-9a-f]{52}")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The run to compare with. ``declared`` lacks what nobody wrote down (lineages of versions have only a part)."""

    name: str
    components: Mapping[str, str]
    declared: Mapping[str, Any] = field(default_factory=dict)


def changes(earlier: Earlier, components: Mapping[str, str], declared: Mapping[str, Any]) -> Changes:
    """The components that differ, JSON-ready.

    ``{"from", "to"}`` of a plain value; of params, inputs and env the same by key, None where it was missing;
    empty where the values were not written down or are not shown.
    """
    names = sorted({*earlier.components, *components})
    differing = [name for name in names if earlier.components.get(name) != components.get(name)]
    return {name: _change(earlier.declared.get(name), declared.get(name)) for name in differing}


def in_words(found: Mapping[str, Mapping[str, Any]]) -> str:
    """``params changed: lr 0.1 -> 0.2; source changed``. Files of the source are the teller's to look up."""
    return "; ".join(_sentence(name, one) for name, one in found.items())


def _sentence(name: str, change: Mapping[str, Any]) -> str:
    if name == "image" and change:
        return image_in_words(change["from"] or "", change["to"] or "")
    return ": ".join(filter(None, [f"{name} changed", _words(name, change)]))


def image_in_words(old: str, new: str) -> str:
    """``image app:1 -> app:2``; of another digest of the same image only that: digests say nothing to people."""
    if old.partition("@")[0] == new.partition("@")[0]:
        return "image changed"
    before, after = (_DIGEST.sub(r"\1", one) or "none" for one in (old, new))
    return f"image {before} -> {after}"


def _change(old: Any, new: Any) -> dict[str, Any]:
    if old is None:
        return {}
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new})
        return {key: {"from": old.get(key), "to": new.get(key)} for key in keys if old.get(key) != new.get(key)}
    if isinstance(old, str) or isinstance(new, str) or new is None:
        return {"from": old, "to": new}
    return {"from": list(old), "to": list(new)}


def _words(name: str, change: Mapping[str, Any]) -> str:
    match name:
        case "source":
            return ""  # digests say nothing to people
        case "params" | "env":
            return ", ".join(_pair(key, one) for key, one in change.items())
        case "inputs":
            return ", ".join(_input(key, one) for key, one in change.items())
        case "requirements" if change:
            return ", ".join(_lines(change["from"] or (), change["to"] or ()))
        case "command" | "args" if change:
            return f"{_short(' '.join(change['from'] or ()))} -> {_short(' '.join(change['to'] or ()))}"
    return f"{change['from']} -> {change['to']}" if change else ""


def _pair(key: str, change: Mapping[str, Any]) -> str:
    if change["from"] is None:
        return f"{key} {_short(change['to'])} is new"
    if change["to"] is None:
        return f"{key} {_short(change['from'])} is gone"
    return f"{key} {_short(change['from'])} -> {_short(change['to'])}"


def _input(key: str, change: Mapping[str, Any]) -> str:
    if change["from"] is None:
        return f"{key} is new"
    return f"{key} is gone" if change["to"] is None else f"{key} has other files"


def _lines(old: Collection[str], new: Collection[str]) -> Iterator[str]:
    yield from (f"-{line}" for line in old if line not in new)
    yield from (f"+{line}" for line in new if line not in old)


def _short(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."
