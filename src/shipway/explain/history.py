"""What became of a model's versions: from the ledger to who was live, who was champion, and what else happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shipway.kinds import CHAMPION
from shipway.ports import Entry

LIVE = "live"
_MOVES = ("ChampionMoved", "AliasMoved")


@dataclass(frozen=True, slots=True)
class Tenure:
    """What one version was from ``since`` to ``until`` (None: it is now).

    ``role`` is ``live`` (it had all the traffic of a service: ``cluster``, ``service`` and ``revision`` say which) or
    the alias that named it. ``by`` is who caused it and ``why`` what; ``ended_by`` and ``ended_why`` tell the same of
    its end.
    """

    model: str
    version: int
    role: str
    since: datetime
    until: datetime | None
    by: str
    why: str
    cluster: str = ""
    service: str = ""
    revision: str = ""
    ended_by: str = ""
    ended_why: str = ""

    def held_at(self, when: datetime) -> bool:
        """Whether it was so at that time."""
        return self.since <= when and (self.until is None or when < self.until)


@dataclass(frozen=True, slots=True)
class Happening:
    """What else the ledger says of a model: a push, a pull, an import, a removal."""

    at: datetime
    reason: str
    message: str
    version: int | None
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class History:
    """Both oldest first."""

    tenures: tuple[Tenure, ...] = ()
    happenings: tuple[Happening, ...] = ()

    def at(self, when: datetime) -> History:
        """What held at that time."""
        return History(tuple(one for one in self.tenures if one.held_at(when)))


def history(model: str, ledger: Iterable[Entry]) -> History:
    """The history of a model. ``ledger``: lines of this model and of all services, oldest first."""
    lines = tuple(ledger)
    own = [one for one in lines if one.subject == f"Model/{model}"]
    tenures = [*_live(model, lines), *_named(model, own)]
    return History(
        tenures=tuple(sorted(tenures, key=lambda one: one.since)),
        happenings=tuple(_happening(one) for one in own if one.reason not in _MOVES),
    )


def _live(model: str, ledger: Iterable[Entry]) -> Iterator[Tenure]:
    live: dict[str, Tenure] = {}
    for entry in ledger:
        if entry.reason not in ("Live", "Deleted") or not entry.subject.startswith("ModelService/"):
            continue
        ended = live.pop(entry.subject, None)
        if ended is not None:
            why = f"{entry.data['to']} has the traffic" if entry.reason == "Live" else "the service was deleted"
            yield _ended(ended, entry, why)
        served = entry.data.get("model") or {}
        if entry.reason == "Live" and served.get("name") == model:
            live[entry.subject] = _begun(model, int(served["version"]), entry)
    yield from live.values()


def _begun(model: str, version: int, entry: Entry) -> Tenure:
    data = entry.data
    return replace(
        _tenure(model, version, LIVE, entry),
        cluster=data.get("cluster", "local"),
        service=entry.subject.partition("/")[2],
        revision=data.get("to", ""),
    )


def _named(model: str, own: Iterable[Entry]) -> Iterator[Tenure]:
    """What aliases named."""
    present: dict[str, Tenure] = {}
    for entry in own:
        if entry.reason == "ModelDeleted":
            yield from (_ended(one, entry, "the model was deleted") for one in present.values())
            present.clear()
        if entry.reason not in _MOVES:
            continue
        alias, to = str(entry.data.get("alias") or CHAMPION), entry.data.get("to")
        ended = present.pop(alias, None)
        if ended is not None:
            yield _ended(ended, entry, "the alias was taken away" if to is None else f"{model}:{to} became {alias}")
        if to is not None:
            present[alias] = _tenure(model, int(to), alias, entry)
    yield from present.values()


def _tenure(model: str, version: int, role: str, entry: Entry) -> Tenure:
    by, why = _text(entry.data.get("by")), _text(entry.data.get("why"))
    return Tenure(model, version, role, since=entry.at, until=None, by=by, why=why)


def _ended(tenure: Tenure, entry: Entry, why: str) -> Tenure:
    return replace(tenure, until=entry.at, ended_by=_text(entry.data.get("by")), ended_why=why)


def _happening(entry: Entry) -> Happening:
    data = entry.data
    version = data.get("version")
    number = version if isinstance(version, int) else None
    return Happening(entry.at, entry.reason, entry.message, number, _text(data.get("by")), _text(data.get("why")))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
