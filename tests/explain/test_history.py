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

    return [
        (one.revision, one.version, seconds(one.since) or 0, seconds(one.until))
        for one in history("m", entries).tenures
    ]


def test_a_version_is_live_until_the_next_one_or_the_end_of_its_service() -> None:
    told = [live(0, "a", "a-1", 1), live(10, "a", "a-2", 2), live(12, "b", "b-1", 2), deleted(20, "a")]
    assert spans(*told) == [("a-1", 1, 0, 10), ("a-2", 2, 10, 20), ("b-1", 2, 12, None)]


def test_another_model_or_none_ends_it() -> None:
    assert spans(live(0, "a", "a-1", 1), live(5, "a", "a-2", 7, model="other")) == [("a-1", 1, 0, 5)]
    assert spans(live(0, "a", "a-1", 1), live(5, "a", "a-2", None)) == [("a-1", 1, 0, 5)]


def test_who_and_why_stand_at_both_ends() -> None:
    first, second = history("m", [live(0, "a", "a-1", 1), live(10, "a", "a-2", 2, by="carl")]).tenures
    assert (first.by, first.why, first.ended_by, first.ended_why) == ("ada", "new", "carl", "a-2 has the traffic")
    assert (second.until, second.cluster, second.service) == (None, "local", "a")


def test_lines_of_an_earlier_shipway_lack_who_and_where() -> None:
    line = Entry("ledger", "ModelService/a", "Live", "", T0, {"to": "a-1", "model": {"name": "m", "version": 1}})
    [one] = history("m", [line]).tenures
    assert (one.cluster, one.by, one.why) == ("local", "", "")


def test_other_lines_of_the_ledger_do_not_count() -> None:
    assert history("m", [Entry("ledger", "Model/m", "ModelDeleted", "", T0), deleted(1, "a")]).tenures == ()


def moved(at: int, alias: str, version: int | None, by: str = "ada", why: str = "better") -> Entry:
    reason, named = ("ChampionMoved", {}) if alias == "champion" else ("AliasMoved", {"alias": alias})
    data = {**named, "to": version, "by": by, "why": why}
    return Entry("ledger", "Model/m", reason, "", T0 + timedelta(seconds=at), data)


def roles(*entries: Entry) -> list[tuple[str, int, str]]:
    return [(one.role, one.version, one.ended_why) for one in history("m", entries).tenures]


def test_an_alias_names_a_version_until_it_names_another_or_none() -> None:
    lines = [moved(0, "champion", 1), moved(1, "prod", 1), moved(5, "champion", 2, by="bob"), moved(7, "prod", None)]
    assert roles(*lines) == [
        ("champion", 1, "m:2 became champion"),
        ("prod", 1, "the alias was taken away"),
        ("champion", 2, ""),
    ]
    first = history("m", lines).tenures[0]
    assert (first.by, first.why, first.ended_by, first.service) == ("ada", "better", "bob", "")


def test_a_deleted_model_has_no_aliases_any_more() -> None:
    gone = Entry("ledger", "Model/m", "ModelDeleted", "", T0 + timedelta(seconds=3), {"by": "eve"})
    lines = [moved(0, "champion", 4), gone, moved(9, "champion", 1)]
    assert roles(*lines) == [("champion", 4, "the model was deleted"), ("champion", 1, "")]


def test_who_was_champion_and_live_at_a_time() -> None:
    told = history("m", [moved(0, "champion", 1), live(2, "a", "a-1", 1), moved(5, "champion", 2), deleted(8, "a")])

    def at(seconds: int) -> set[tuple[str, int]]:
        return {(one.role, one.version) for one in told.at(T0 + timedelta(seconds=seconds)).tenures}

    assert at(-1) == set()
    assert at(0) == {("champion", 1)}
    assert at(5) == {("champion", 2), ("live", 1)}, "from its beginning, until before its end"
    assert at(8) == {("champion", 2)}


def test_what_else_happened_is_told() -> None:
    pushed = Entry("ledger", "Model/m", "Pushed", "m:1 was pushed", T0, {"version": 1, "by": "ada"})
    others = [Entry("ledger", "Model/other", "Pushed", "", T0), moved(1, "prod", 1)]
    [one] = history("m", [pushed, *others]).happenings
    assert (one.reason, one.version, one.by, one.message) == ("Pushed", 1, "ada", "m:1 was pushed")
