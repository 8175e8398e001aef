"""Decisions, events and ledger lines go to the journal, once each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from shipway.kinds import CHAMPION, Object
from shipway.ports import Clock, Entry, Journal

ASKED = ("Applied", "DeleteAsked", "UndoAsked")  # events: what somebody asked of us, with "by" in their data
ALIAS_MOVES = ("ChampionMoved", "AliasMoved")  # lines of a model's ledger, with "by" in their data
NOBODY = "the hub"  # who did what nobody asked for, or what was asked for before the journal begins

_Data = Mapping[str, Any]
_REMEMBERED = 4096  # lines; what is forgotten is read from the journal again
_SEARCHED = 1000  # lines of a subject in which an earlier one is looked for
_MEASURED = frozenset({"seconds"})  # a hub that repeats a decision after a crash measures another time


def subject_of(obj: Object) -> str:
    """``ModelJob/digits``."""
    return f"{obj.kind}/{obj.name}"


class Recorder:
    """Writes what is new, and not what a reconcile repeats at every pass.

    Lines are compared with the journal itself: they are written before the status that they tell of, and a hub
    that is killed between the two must neither lose the line nor let the next hub write it twice.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._known: dict[tuple[str, str], str] = {}  # (subject, type and what is unique) to what was said

    def decision(
        self, subject: str, reason: str, message: str, data: _Data | None = None, *, once: bool = False
    ) -> None:
        """A decision with its numbers, unless it is the one that stands; with ``once``, unless it was ever taken."""
        entry = self._entry("decision", subject, reason, message, data)
        self._append_new(entry, _essence if once else None)

    def event(
        self, subject: str, reason: str, message: str, data: _Data | None = None, *, about: Sequence[str] = ()
    ) -> None:
        """Something that happened to us. ``about`` names the fields of ``data`` that tell this time from others."""
        entry = self._entry("event", subject, reason, message, data)
        self._append_new(entry, (lambda one: _part(one, about)) if about else None)

    def ledger(self, subject: str, reason: str, message: str, data: _Data | None = None, *, once: bool = False) -> None:
        """Who was live when; with ``once``, unless it was ever said. Call it before the store has the change."""
        self._append_new(self._entry("ledger", subject, reason, message, data), _essence if once else None)

    def asked(self, subject: str, reason: str, message: str, by: str, data: _Data | None = None) -> None:
        """Somebody asked for something, every time that they do: ``reason`` is one of ``ASKED``."""
        self._journal.append(self._entry("event", subject, reason, message, {"by": by, **(data or {})}))

    def by(self, subject: str) -> str:
        """Who asked last for something of that subject: ``ada (shipway up)``."""
        events = self._journal.entries(subject=subject, type="event", newest=True)
        return next((str(one.data.get("by")) for one in reversed(events) if one.reason in ASKED), NOBODY)

    def moved_by(self, model: str, alias: str, number: int) -> str:
        """Who caused the last move of a model's alias to that version."""
        lines = self._journal.entries(subject=f"Model/{model}", type="ledger", newest=True)
        moves = (one for one in reversed(lines) if one.reason in ALIAS_MOVES)
        wanted = (one for one in moves if (one.data.get("alias", CHAMPION), one.data.get("to")) == (alias, number))
        return next((str(one.data.get("by", NOBODY)) for one in wanted), NOBODY)

    def forget(self, subject: str) -> None:
        """The subject is gone."""
        self._known = {key: said for key, said in self._known.items() if key[0] != subject}

    def _entry(
        self,
        type_: Literal["decision", "event", "ledger"],
        subject: str,
        reason: str,
        message: str,
        data: _Data | None,
    ) -> Entry:
        return Entry(type_, subject, reason, message, at=self._clock.now(), data=dict(data or {}))

    def _append_new(self, entry: Entry, unique: Callable[[Entry], str] | None) -> None:
        """``unique`` tells lines apart that are written once each; without it a line must differ from the last one."""
        key = (entry.subject, f"{entry.type} {unique(entry) if unique else ''}")
        said = "" if unique else _essence(entry)
        if key not in self._known:
            self._remember(key, self._read(entry, unique))
        if self._known[key] != said:
            self._journal.append(entry)
            self._remember(key, said)
            # Whatever stood before stands no longer, whoever wrote it: the next hub would read the same.
            self._remember((entry.subject, f"{entry.type} "), _essence(entry))

    def _read(self, entry: Entry, unique: Callable[[Entry], str] | None) -> str:
        """What the journal says, whichever hub wrote it."""
        found = self._journal.entries(subject=entry.subject, type=entry.type, limit=_SEARCHED, newest=True)
        lines = [one for one in found if one.reason not in ASKED]
        if unique is None:
            return _essence(lines[-1]) if lines else _NOTHING
        wanted = unique(entry)
        same = (one for one in lines if one.reason == entry.reason)
        return "" if any(unique(one) == wanted for one in same) else _NOTHING

    def _remember(self, key: tuple[str, str], said: str) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = said


_NOTHING = "nothing"  # no digest that a line could have


def _essence(entry: Entry) -> str:
    """Short: thousands are remembered, and a line may hold the end of a log."""
    kept = {name: value for name, value in entry.data.items() if name not in _MEASURED}
    text = json.dumps([entry.reason, entry.message, kept], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _part(entry: Entry, names: Sequence[str]) -> str:
    return json.dumps([entry.reason, *(entry.data.get(name) for name in names)], sort_keys=True)
