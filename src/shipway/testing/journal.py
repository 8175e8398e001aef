"""FakeJournal, and the contract that every journal keeps: ``check_journal``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from shipway.ports import Entry, Journal, MetricPoint


class FakeJournal:
    """:class:`shipway.ports.Journal` in memory, for tests of whatever needs one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._points: list[MetricPoint] = []

    def append(self, entry: Entry) -> Entry:
        with self._lock:
            written = replace(entry, id=len(self._entries) + 1)
            self._entries.append(written)
            return written

    def entries(
        self, *, after: int = 0, subject: str | None = None, type: str | None = None, limit: int = 1000
    ) -> list[Entry]:
        with self._lock:
            return [
                one for one in self._entries[after:] if subject in (None, one.subject) and type in (None, one.type)
            ][:limit]

    def record(self, points: Sequence[MetricPoint]) -> None:
        with self._lock:
            start = len(self._points) + 1
            self._points.extend(replace(one, id=number) for number, one in enumerate(points, start))

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        with self._lock:
            return [one for one in self._points[after:] if one.subject == subject and run in (None, one.run)]

    def close(self) -> None:
        """Nothing is held."""


MakeJournal = Callable[[], AbstractContextManager[Journal]]


def check_journal(make: MakeJournal) -> None:
    """The whole contract of :class:`shipway.ports.Journal`; ``make()`` gives an empty journal for each check."""
    for check in JOURNAL_CHECKS:
        with make() as journal:
            check(journal)


def check_entries_come_back_as_written(journal: Journal) -> None:
    data = {"weights": {"a": 90, "b": 10.5}, "none": None, "list": [1, "ü"]}
    entry = Entry("decision", "ModelService/d", "Progressing", "erste\nZeile", _at(1), data)
    written = journal.append(entry)
    assert written.id > 0
    assert replace(written, id=0) == entry
    assert journal.entries() == [written]


def check_ids_grow_and_entries_are_oldest_first(journal: Journal) -> None:
    # The clock went back between the two: the order of writing counts.
    first, second = journal.append(_entry("A/a", at=9)), journal.append(_entry("A/a", at=1))
    assert 0 < first.id < second.id
    assert journal.entries() == [first, second]


def check_entries_are_filtered(journal: Journal) -> None:
    one = journal.append(_entry("A/a"))
    two = journal.append(_entry("A/b", type_="ledger"))
    three = journal.append(_entry("A/b"))
    assert journal.entries(after=one.id) == [two, three]
    assert journal.entries(subject="A/b") == [two, three]
    assert journal.entries(type="ledger") == [two]
    assert journal.entries(subject="A/b", type="event", after=two.id) == [three]
    assert journal.entries(limit=2) == [one, two]
    assert journal.entries(after=three.id) == []
    assert journal.entries(subject="A/none") == []


def check_points_come_back_in_order(journal: Journal) -> None:
    points = [_point("loss", 0.5, step=1), _point("loss", 0.25, step=2), _point("accuracy", 1.0)]
    journal.record(points)
    found = journal.points("ModelJob/d")
    assert [replace(one, id=0) for one in found] == points
    ids = [one.id for one in found]
    assert ids == sorted(set(ids))
    assert ids[0] > 0
    assert journal.points("ModelJob/d", after=ids[1]) == found[2:]


def check_points_are_filtered(journal: Journal) -> None:
    journal.record([_point("loss", 1.0, run="d-1"), _point("loss", 2.0, run="d-2")])
    journal.record([])
    assert [one.value for one in journal.points("ModelJob/d", run="d-2")] == [2.0]
    assert journal.points("ModelJob/other") == []


def check_values_that_are_no_numbers(journal: Journal) -> None:
    journal.record([_point("loss", math.nan), _point("loss", math.inf), _point("loss", -math.inf)])
    nan, *infinite = (one.value for one in journal.points("ModelJob/d"))
    assert math.isnan(nan)
    assert infinite == [math.inf, -math.inf]


def check_threads_share_a_journal(journal: Journal) -> None:
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda number: journal.append(_entry(f"A/{number}")), range(20)))
    assert len({one.id for one in written}) == 20
    assert journal.entries() == sorted(written, key=lambda one: one.id)


JOURNAL_CHECKS: tuple[Callable[[Journal], None], ...] = (
    check_entries_come_back_as_written,
    check_ids_grow_and_entries_are_oldest_first,
    check_entries_are_filtered,
    check_points_come_back_in_order,
    check_points_are_filtered,
    check_values_that_are_no_numbers,
    check_threads_share_a_journal,
)


def _at(seconds: int) -> datetime:
    return datetime(2026, 1, 1, 12, 0, 0, 123457, tzinfo=UTC) + timedelta(seconds=seconds)


def _entry(subject: str, *, type_: Literal["decision", "event", "ledger"] = "event", at: int = 0) -> Entry:
    return Entry(type_, subject, "Reason", "message", _at(at))


def _point(name: str, value: float, *, run: str = "d-1", step: int | None = None) -> MetricPoint:
    return MetricPoint("ModelJob/d", run, name, value, _at(0), step)
