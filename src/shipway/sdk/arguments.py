"""What callers may write for a kind, and for objects to apply. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, overload

from shipway.deploy.nouns import BY_KIND, Noun, noun
from shipway.errors import UserError
from shipway.kinds import Object

Kind: TypeAlias = str | type[Object]
One: TypeAlias = Object | Mapping[str, Any]
Applicable: TypeAlias = str | Path | One | Iterable[One]


@overload
def noun_of(kind: Kind) -> Noun: ...
@overload
def noun_of(kind: Kind | None) -> Noun | None: ...
def noun_of(kind: Kind | None) -> Noun | None:
    """The noun of a class or a word; None stands for all kinds. Raises UserError."""
    if kind is None or isinstance(kind, str):
        return None if kind is None else noun(kind)
    found = BY_KIND.get(getattr(kind, "__name__", ""))
    if found is None:
        raise UserError(f"{kind!r} is not a kind", next_step=f"there are {', '.join(BY_KIND)}, or words such as 'job'")
    return found


def data_of(what: One | Iterable[One]) -> list[Mapping[str, Any]]:
    """Objects as what a user would write of them. Raises UserError for what is no object."""
    return [_data(one) for one in _each(what)]


def _each(what: Any) -> Iterable[Any]:
    single = isinstance(what, Object | Mapping) or not isinstance(what, Iterable)
    return (what,) if single else what


def _data(one: Any) -> Mapping[str, Any]:
    if isinstance(one, Object):
        # Only what was set: the files of a job that names none are chosen when it is applied.
        spec = one.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
        metadata = {"name": one.name, "labels": one.metadata.labels, "annotations": one.metadata.annotations}
        return {"apiVersion": one.api_version, "kind": one.kind, "metadata": metadata, "spec": spec}
    if isinstance(one, Mapping):
        return one
    raise UserError(
        f"{type(one).__name__} is not an object to apply", next_step="give a path, an object, a dict of one, or several"
    )
