"""Decisions, events and ledger lines go to the journal, once each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from shipway.kinds import Object
from shipway.ports import Clock, Entry, Journal

_Type = Literal["decision", "event", "ledger"]
_Line = tuple[str, str, Mapping[str, Any]]  # reason, message, data


def subject_of(obj: Object) -> str:
    """``ModelJob/digits``."""
    return f"{obj.kind}/{obj.name}"


class Recorder:
    """Writes what is new, and not what a reconcile repeats at every pass.

    A decision differs from the last one about the same subject that this hub wrote. Events and lines of the
    ledger are compared with the journal itself: they are written before the status that they tell of, and a hub
    that is killed between the two must neither lose the line nor let the next hub write it twice.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._decided: dict[str, tuple[str, str]] = {}
        self._written: dict[tuple[str, str], _Line | None] = {}  # by type and subject

    def decision(self, subject: str, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """A decision with its numbers."""
        if self._decided.get(subject) == (reason, message):
            return
        self._decided[subject] = (reason, message)
        self._append("decision", subject, (reason, message, data or {}))

    def event(self, subject: str, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Something that happened to us: no decision of ours, and it counts."""
        self._append_once("event", subject, (reason, message, data or {}))

    def ledger(self, subject: str, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Who was live when. Call it before the change is written to the store."""
        self._append_once("ledger", subject, (reason, message, data or {}))

    def forget(self, subject: str) -> None:
        """The subject is gone."""
        self._decided.pop(subject, None)

    def _append_once(self, type_: _Type, subject: str, line: _Line) -> None:
        key = (type_, subject)
        if key not in self._written:
            self._written[key] = self._last(type_, subject)
        if self._written[key] != line:
            self._append(type_, subject, line)
            self._written[key] = line

    def _last(self, type_: _Type, subject: str) -> _Line | None:
        """What the journal says last, whichever hub wrote it."""
        last: Entry | None = None
        while found := self._journal.entries(after=last.id if last else 0, subject=subject, type=type_):
            last = found[-1]
        return (last.reason, last.message, last.data) if last else None

    def _append(self, type_: _Type, subject: str, line: _Line) -> None:
        reason, message, data = line
        entry = Entry(type_, subject, reason, message, at=self._clock.now(), data=dict(data))
        self._journal.append(entry)
