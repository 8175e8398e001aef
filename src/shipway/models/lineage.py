"""Lineage: everything that made a version, in the words of ``shipway models show``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal, Self

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Lineage:
    """What made a version, and how it was judged when it was made.

    ``components`` is what the fingerprint is made of, name to digest or value (source, command, params, inputs,
    requirements, env, replicas, interpreter, platform). A run is the same run only with the same fingerprint.
    ``lock`` is what the requirements came to when it ran: recorded, and no part of the fingerprint.
    """

    run: str = ""
    job: str = ""
    fingerprint: str = ""
    components: Mapping[str, str] = field(default_factory=dict, hash=False)
    params: Mapping[str, bool | int | float | str] = field(default_factory=dict, hash=False)
    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)  # name to digest of the snapshot
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    gate: Literal["passed", "failed", "none"] = "none"
    gate_reason: str = ""
    origin: Literal["job", "import", "pulled"] = "job"  # pulled: another tool made it, and says no more
    created_at: datetime | None = None  # None: the time of packing
    requirements: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()  # "name==version" of every package, sorted
    source: str | None = None  # digest of the snapshot that ran
    description: str = ""  # what somebody said of it who imported it

    def made_at(self, now: datetime) -> Self:
        """The same lineage with a time."""
        return self if self.created_at is not None else replace(self, created_at=now)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data with camelCase names; empty fields are left out."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {_JSON_NAMES.get(name, name): _plain(value) for name, value in values.items() if value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Lineage:
        """The inverse of :meth:`to_json`; keys of a later Shipway are ignored. Raises TypeError or ValueError.

        Anybody may have written it, so the types are checked.
        """
        names = {one.name: _JSON_NAMES.get(one.name, one.name) for one in fields(cls)}
        return _types().validate_python({name: document[key] for name, key in names.items() if key in document})


@cache
def _types() -> TypeAdapter[Lineage]:
    return TypeAdapter(Lineage)


_JSON_NAMES = {"gate_reason": "gateReason", "created_at": "createdAt"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
