"""Tenures: who was live from when to when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from shipway.explain import history
from shipway.ports import Entry

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def live(at: int, service: str, revision: str, version: int | None, model: str = "m", by: str = "ada") -> Entry:
    served = None if version is None else {"name": model, "version": version}
    data: dict[str, Any] = {"to": revision, "model": served, "cluster": "local", "by": by, "why": "new"}
    return Entry("ledger", f"ModelService/{service}", "Live", "", T0 + timedelta(seconds=at), data)


def deleted(at: int, service: str) -> Entry:
    return Entry("ledger", f"ModelService/{service}", "Deleted", "", T0 + timedelta(seconds=at), {"by": "bob"})


def spans(*entries: Entry) -> list[tuple[str, int, int, int | None]]:
    def seconds(at: datetime | None) -> int | None:
        return None if at is None else int((at - T0).total_seconds())

    return [(one.revision, one.version, seconds(one.since) or 0, seconds(one.until)) for one in history("m", entries)]


def test_a_version_is_live_until_the_next_one_or_the_end_of_its_service() -> None:
    told = [live(0, "a", "a-1", 1), live(10, "a", "a-2", 2), live(12, "b", "b-1", 2), deleted(20, "a")]
    assert spans(*told) == [("a-1", 1, 0, 10), ("a-2", 2, 10, 20), ("b-1", 2, 12, None)]


def test_another_model_or_none_ends_it() -> None:
    assert spans(live(0, "a", "a-1", 1), live(5, "a", "a-2", 7, model="other")) == [("a-1", 1, 0, 5)]
    assert spans(live(0, "a", "a-1", 1), live(5, "a", "a-2", None)) == [("a-1", 1, 0, 5)]


def test_who_and_why_stand_at_both_ends() -> None:
    first, second = history("m", [live(0, "a", "a-1", 1), live(10, "a", "a-2", 2, by="carl")])
    assert (first.by, first.why, first.ended_by, first.ended_why) == ("ada", "new", "carl", "a-2 has the traffic")
    assert (second.until, second.cluster, second.service) == (None, "local", "a")


def test_lines_of_an_earlier_shipway_lack_who_and_where() -> None:
    line = Entry("ledger", "ModelService/a", "Live", "", T0, {"to": "a-1", "model": {"name": "m", "version": 1}})
    [one] = history("m", [line])
    assert (one.cluster, one.by, one.why) == ("local", "", "")


def test_other_lines_of_the_ledger_do_not_count() -> None:
    assert history("m", [Entry("ledger", "Model/m", "ModelDeleted", "", T0), deleted(1, "a")]) == ()
