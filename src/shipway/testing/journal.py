"""FakeJournal, and the contract that every journal keeps: ``check_journal``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Literal

from shipway.ports import Entry, Journal, MetricPoint


class FakeJournal:
    """:class:`shipway.ports.Journal` in memory, for tests of whatever needs one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = count(1)
        self._entries: list[Entry] = []
        self._points: list[MetricPoint] = []

    def append(self, entry: Entry) -> Entry:
        with self._lock:
            written = replace(entry, id=next(self._ids))
            self._entries.append(written)
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
        with self._lock:
            found = [
                one
                for one in self._entries
                if one.id > after
                and (before is None or one.id < before)
                and subject in (None, one.subject)
                and type in (None, one.type)
                and (since is None or one.at >= since)
            ]
        return found[max(len(found) - limit, 0) :] if newest else found[:limit]

    def record(self, points: Sequence[MetricPoint]) -> None:
        with self._lock:
            self._points.extend(replace(one, id=next(self._ids)) for one in points)

    def points(self, subject: str, *, run: str | None = None, after: int = 0) -> list[MetricPoint]:
        with self._lock:
            return [one for one in self._points if one.id > after and one.subject == subject and run in (None, one.run)]

    def prune(self, *, before: datetime, keep: int) -> int:
        with self._lock:
            held = len(self._entries) + len(self._points)
            final = [one for one in self._entries if one.type != "ledger"]
            young = {one.id for one in final[max(len(final) - keep, 0) :] if one.at >= before}
            self._entries = [one for one in self._entries if one.type == "ledger" or one.id in young]
            self._points = [one for one in self._points[max(len(self._points) - keep, 0) :] if one.at >= before]
            return held - len(self._entries) - len(self._points)

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


def check_the_newest_are_still_oldest_first(journal: Journal) -> None:
    one, two, three, four = (journal.append(_entry(f"A/{name}")) for name in "abab")
    assert journal.entries(newest=True, limit=2) == [three, four]
    assert journal.entries(newest=True, limit=2, before=four.id) == [two, three]
    assert journal.entries(newest=True, limit=9, after=one.id) == [two, three, four]
    assert journal.entries(newest=True, limit=1, subject="A/a") == [three]
    assert journal.entries(before=three.id) == [one, two]
    assert journal.entries(newest=True, limit=0) == []


def check_entries_since_a_time(journal: Journal) -> None:
    old, young, early = (journal.append(_entry("A/a", at=at)) for at in (0, 5, 3))
    assert journal.entries(since=_at(3)) == [young, early]
    assert journal.entries(since=_at(3) + timedelta(microseconds=1)) == [young]
    assert journal.entries(since=_at(0)) == [old, young, early]


def check_prune_by_age_keeps_the_ledger(journal: Journal) -> None:
    journal.append(_entry("A/a", at=0))
    ledger = journal.append(_entry("A/a", type_="ledger", at=0))
    journal.record([_point("loss", 1.0)])
    young = journal.append(_entry("A/a", at=1))
    assert journal.prune(before=_at(1), keep=100) == 2
    assert journal.entries() == [ledger, young]
    assert journal.points("ModelJob/d") == []
    assert journal.prune(before=_at(2), keep=100) == 1
    assert journal.entries() == [ledger]
    assert journal.append(_entry("A/a")).id > young.id, "an id never comes again"
    assert journal.prune(before=_at(0), keep=100) == 0


def check_prune_by_number_keeps_the_newest(journal: Journal) -> None:
    entries = [journal.append(_entry("A/a", type_="ledger" if number == 0 else "event")) for number in range(5)]
    journal.record([_point("loss", float(number)) for number in range(4)])
    assert journal.prune(before=_at(0), keep=3) == 2, "one event and one point"
    assert journal.entries() == [entries[0], *entries[2:]]
    assert [one.value for one in journal.points("ModelJob/d")] == [1.0, 2.0, 3.0]
    assert journal.prune(before=_at(0), keep=0) == 6
    assert journal.entries() == [entries[0]]


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
    check_the_newest_are_still_oldest_first,
    check_entries_since_a_time,
    check_prune_by_age_keeps_the_ledger,
    check_prune_by_number_keeps_the_newest,
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
