"""One flipped byte anywhere in a real store or journal: every row reads as it was written, or an error names the file.

Seeded: the same flips on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shipway.errors import Corrupt, EnvironmentFault
from shipway.journal.sqlite import SqliteJournal
from shipway.kinds import Model
from shipway.ports import Entry, MetricPoint
from shipway.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLIPS = 150


def now() -> datetime:
    return NOW


def flips(path: Path, seed: int) -> Iterator[tuple[int, Path]]:
    """Copies of the file with one byte changed each: in the first page, which steers all, and anywhere."""
    content = path.read_bytes()
    chance = random.Random(seed)
    for number in range(FLIPS):
        offset = chance.randrange(100 if number % 5 == 0 else len(content))
        damaged = bytearray(content)
        damaged[offset] ^= 1 << chance.randrange(8)
        copy = path.with_name(f"flip-{number}.db")
        copy.write_bytes(damaged)
        yield offset, copy


@pytest.mark.slow
def test_a_flip_in_the_store_is_harmless_or_named(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store.db", now)) as store:
        for number in range(40):
            spec = {"description": f"model {number}: {'text ' * number}"}
            store.put(Model.model_validate({"metadata": {"name": f"m-{number}"}, "spec": spec}))
        for number in range(0, 40, 4):
            store.delete("Model", f"m-{number}")
        expected = store.list(), list(store.watch(0))
    named = 0
    for offset, copy in flips(tmp_path / "store.db", seed=1):
        try:
            with closing(SqliteStore(copy, now)) as store:
                found = store.list(), list(store.watch(0))
        except EnvironmentFault as error:
            named += 1
            assert str(copy) in error.message, offset  # noqa: PT017 - most flips raise, and none must
        else:
            assert found == expected, f"byte {offset}"
    assert named > FLIPS / 4, "else the flips did not reach what is written"


@pytest.mark.slow
def test_a_flip_in_the_journal_is_harmless_or_named(tmp_path: Path) -> None:
    with closing(SqliteJournal(tmp_path / "journal.db")) as journal:
        for number in range(60):
            at = NOW + timedelta(seconds=number)
            journal.append(Entry("event", f"Model/m-{number % 7}", "Reason", f"line {number}", at, {"n": number}))
            journal.record([MetricPoint("ModelJob/j", f"j-{number % 3}", "loss", number / 7, at, number)])
        journal.prune(before=NOW + timedelta(seconds=5), keep=100)
        expected = _all_of(journal)
    named = 0
    for offset, copy in flips(tmp_path / "journal.db", seed=2):
        try:
            with closing(SqliteJournal(copy)) as journal:
                found = _all_of(journal)
        except EnvironmentFault as error:
            named += 1
            assert str(copy) in error.message, offset  # noqa: PT017 - most flips raise, and none must
        else:
            assert found == expected, f"byte {offset}"
    assert named > FLIPS / 4, "else the flips did not reach what is written"


def test_a_schema_that_is_no_text_is_named(tmp_path: Path) -> None:
    # sqlite3 cannot decode SQLite's message about it: found by the flips above.
    SqliteStore(tmp_path / "store.db", now).close()
    content = (tmp_path / "store.db").read_bytes()
    (tmp_path / "store.db").write_bytes(content.replace(b"CREATE TABLE changes", b"CREATE TABLE\xc5changes"))
    with pytest.raises(Corrupt, match=r"store\.db is damaged"):
        SqliteStore(tmp_path / "store.db", now)


def _all_of(journal: SqliteJournal) -> object:
    by_subject = [journal.entries(subject=f"Model/m-{number}") for number in range(7)]
    by_run = [journal.points("ModelJob/j", run=f"j-{number}") for number in range(3)]
    return journal.entries(), by_subject, journal.points("ModelJob/j"), by_run
