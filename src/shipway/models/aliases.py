"""The names of a model's versions, as ``index.json`` remembers them. Pure.

What is asked for them is the Model's status. This is its copy beside the versions: with the store alone, a champion to
which somebody went back by hand would be the newest version again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from shipway.oci import Index
from shipway.oci.manifest import canonical

_ALIASES = "dev.shipway.aliases."  # and the model's name: an object of alias to number


def aliases(index: Index, name: str) -> Mapping[str, int]:
    """What names which version; nothing when another tool wrote something else there."""
    try:
        said = json.loads(index.annotations.get(f"{_ALIASES}{name}", "{}"))
    except (ValueError, RecursionError):
        return {}
    named = said.items() if isinstance(said, dict) else ()
    return {alias: number for alias, number in named if type(number) is int}


def with_aliases(index: Index, name: str, named: Mapping[str, int]) -> Index:
    """The index that remembers these, and no others, of the model."""
    return index.annotated(f"{_ALIASES}{name}", canonical(dict(named)).decode() if named else None)
