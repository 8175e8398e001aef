"""A journal that tells its listeners that something was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from shipway.ports import Entry, Journal, MetricPoint
from shipway.subscribers import Subscribers


class NotifyingJournal:
    """Wraps a journal; ``callback()`` runs after each append and record, in the writer's thread."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner
        self._subscribers = Subscribers()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` from now on; the answer ends that. It must be quick and must not raise."""
        return self._subscribers.add(callback)

    def append(self, entry: Entry) -> Entry:
        written = self._inner.append(entry)
        self._subscribers.tell()
        return written

    def entries(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        subject: str | None = None,
        type: str | None = None,
        since: datetime | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> list[Entry]:
        return self._inner.entries(
            after=after, before=before, subject=subject, type=type, since=since, limit=limit, newest=newest
        )

    def record(self, points: Sequence[MetricPoint]) -> None:
        self._inner.record(points)
        if points:
            self._subscribers.tell()

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        return self._inner.points(subject, run=run, after=after)

    def prune(self, *, before: datetime, keep: int) -> int:
        return self._inner.prune(before=before, keep=keep)

    def close(self) -> None:
        self._inner.close()
