"""Lineage: everything that made a version, in the words of ``shipway models show``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, Self


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
    origin: Literal["job", "import"] = "job"
    created_at: datetime | None = None  # None: the time of packing
    requirements: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()  # "name==version" of every package, sorted
    source: str | None = None  # digest of the snapshot that ran

    def made_at(self, now: datetime) -> Self:
        """The same lineage with a time."""
        return self if self.created_at is not None else replace(self, created_at=now)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data with camelCase names; empty fields are left out."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {_JSON_NAMES.get(name, name): _plain(value) for name, value in values.items() if value}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`; keys of a later Shipway are ignored. Raises TypeError or ValueError."""
        names = {one.name: _JSON_NAMES.get(one.name, one.name) for one in fields(cls)}
        known = {name: document[key] for name, key in names.items() if key in document}
        if "created_at" in known:
            known["created_at"] = datetime.fromisoformat(known["created_at"])
        lists = {name: tuple(known.get(name, ())) for name in ("requirements", "lock")}
        return cls(**{**known, **lists})


_JSON_NAMES = {"gate_reason": "gateReason", "created_at": "createdAt"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
