"""Apply as a pure function: a user's document, merged into what is stored.

The document decides about the spec and the labels; annotations that it does not mention stay (a
controller or another tool wrote them); status, finalizers and what the store owns are never taken
from a document, so that ``shipway get -o yaml`` can be edited and applied again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from shipway.errors import Conflict, Refused
from shipway.kinds import Object, ObjectMeta

MADE_BY_SHIPWAY = frozenset({"Revision", "Route"})
_OF_THE_USER = ("name", "labels", "annotations")

Result = Literal["created", "configured", "unchanged"]


def declared(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a document that a user may decide: the rest is not even validated.

    Raises Refused for kinds that only Shipway makes.
    """
    kind = document.get("kind")
    if isinstance(kind, str) and kind in MADE_BY_SHIPWAY:
        raise Refused(
            f"{kind} objects are made by Shipway and cannot be applied",
            next_step="Apply the ModelService that they belong to.",
        )
    known = {name: value for name, value in document.items() if name != "status"}
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping):
        owned = {field.alias for name, field in ObjectMeta.model_fields.items() if name not in _OF_THE_USER}
        known["metadata"] = {name: value for name, value in metadata.items() if name not in owned}
    return known


def merge(stored: Object | None, desired: Object) -> Object:
    """The object to put. Raises Conflict while the stored one is being deleted."""
    if stored is None:
        return desired
    if stored.metadata.deletion_timestamp is not None:
        raise Conflict(
            f"{stored.kind} {stored.name!r} is being deleted", next_step="Wait until it is gone, then apply again."
        )
    metadata = stored.metadata.model_copy(
        update={
            "labels": desired.metadata.labels,
            "annotations": {**stored.metadata.annotations, **desired.metadata.annotations},
        }
    )
    return stored.model_copy(update={"metadata": metadata, "spec": desired.spec})


def result_of(stored: Object | None, merged: Object) -> Result:
    """What putting the merged object does."""
    if stored is None:
        return "created"
    return "unchanged" if stored.to_json() == merged.to_json() else "configured"
