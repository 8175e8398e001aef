"""Where the versions of a model were live: from the ledger to tenures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shipway.ports import Entry


@dataclass(frozen=True, slots=True)
class Tenure:
    """One version with all the traffic of a service, from ``since`` to ``until`` (None: now).

    ``by`` is who caused it and ``why`` what; ``ended_by`` and ``ended_why`` tell the same of its end.
    """

    model: str
    version: int
    since: datetime
    until: datetime | None
    cluster: str
    service: str
    revision: str
    by: str
    why: str
    ended_by: str = ""
    ended_why: str = ""


def history(model: str, ledger: Iterable[Entry]) -> tuple[Tenure, ...]:
    """The tenures of a model's versions, oldest first. ``ledger``: lines of all services, oldest first."""
    done: list[Tenure] = []
    live: dict[str, Tenure] = {}
    for entry in ledger:
        if entry.reason not in ("Live", "Deleted") or not entry.subject.startswith("ModelService/"):
            continue
        ended = live.pop(entry.subject, None)
        if ended is not None:
            done.append(_ended(ended, entry))
        served = entry.data.get("model") or {}
        if entry.reason == "Live" and served.get("name") == model:
            live[entry.subject] = _begun(model, int(served["version"]), entry)
    return tuple(sorted([*done, *live.values()], key=lambda one: one.since))


def _begun(model: str, version: int, entry: Entry) -> Tenure:
    data = entry.data
    return Tenure(
        model=model,
        version=version,
        since=entry.at,
        until=None,
        cluster=data.get("cluster", "local"),
        service=entry.subject.partition("/")[2],
        revision=data.get("to", ""),
        by=data.get("by", ""),
        why=data.get("why", ""),
    )


def _ended(tenure: Tenure, entry: Entry) -> Tenure:
    why = f"{entry.data['to']} has the traffic" if entry.reason == "Live" else "the service was deleted"
    return replace(tenure, until=entry.at, ended_by=entry.data.get("by", ""), ended_why=why)
