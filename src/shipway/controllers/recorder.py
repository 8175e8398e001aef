"""Decisions and ledger lines go to the journal, once each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.kinds import Object
from shipway.ports import Clock, Entry, Journal


def subject_of(obj: Object) -> str:
    """``ModelJob/digits``."""
    return f"{obj.kind}/{obj.name}"


class Recorder:
    """Writes a decision when it differs from the last one about the same subject.

    A reconcile repeats its decision at every pass; the journal should not.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._last: dict[str, tuple[str, str]] = {}

    def decision(self, subject: str, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """A decision with its numbers."""
        if self._last.get(subject) == (reason, message):
            return
        self._last[subject] = (reason, message)
        self._append("decision", subject, reason, message, data)

    def ledger(self, subject: str, reason: str, message: str, data: Mapping[str, Any] | None = None) -> None:
        """Who was live when: written at every change of it."""
        self._append("ledger", subject, reason, message, data)

    def forget(self, subject: str) -> None:
        """The subject is gone."""
        self._last.pop(subject, None)

    def _append(self, type_: Any, subject: str, reason: str, message: str, data: Mapping[str, Any] | None) -> None:
        self._journal.append(
            Entry(
                type=type_, subject=subject, reason=reason, message=message, at=self._clock.now(), data=dict(data or {})
            )
        )
