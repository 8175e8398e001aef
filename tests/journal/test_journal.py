"""The contract on both journals, and what SQLite adds: durability, append-only, prune."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.journal.notifying import NotifyingJournal
from shipway.journal.sqlite import SqliteJournal
from shipway.ports import Entry, Journal, MetricPoint
from shipway.testing.journal import JOURNAL_CHECKS, FakeJournal, check_journal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = Entry("event", "A/a", "Reason", "message", NOW)
POINT = MetricPoint("A/a", "a-1", "loss", 1.0, NOW)


@pytest.fixture(params=["fake", "sqlite", "notifying"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractContextManager[Journal]]:
    def fresh() -> Journal:
        if request.param == "fake":
            return FakeJournal()
        sqlite = SqliteJournal(tmp_path / "journal.db")
        return sqlite if request.param == "sqlite" else NotifyingJournal(sqlite)

    return lambda: closing(fresh())


@pytest.mark.parametrize("check", JOURNAL_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Journal], None], make: Callable[[], AbstractContextManager[Journal]]) -> None:
    with make() as journal:
        check(journal)


def test_check_journal_runs_all() -> None:
    check_journal(lambda: closing(FakeJournal()))


def test_lines_survive_a_restart_and_cannot_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    written = journal.append(EVENT)
    journal.close()
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("UPDATE entries SET message = 'it was never so'")
    raw.close()
    with closing(SqliteJournal(path)) as journal:
        assert journal.entries() == [written]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_broken_file_is_corrupt_and_named(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"garbage " * 1000)
    with pytest.raises(Corrupt, match=r"journal\.db"):
        SqliteJournal(tmp_path / "journal.db")


def test_a_message_that_is_not_utf8(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        assert journal.append(replace(EVENT, message="\udc80!")).message == "?!"


def test_subscribers_hear_of_entries_and_points() -> None:
    heard: list[str] = []
    journal = NotifyingJournal(FakeJournal())
    unsubscribe = journal.subscribe(lambda: heard.append("told"))
    journal.append(EVENT)
    journal.record([POINT])
    journal.record([])
    unsubscribe()
    journal.append(EVENT)
    assert heard == ["told", "told"]
