"""Which snapshots may be forgotten, and why not the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shipway.retention import Verdict, collectable
from shipway.retention.snapshots import UNUSED, YOUNG

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)


def verdict(asked: datetime = OLD, named_by: dict[str, str] | None = None, kept: tuple[str, ...] = ()) -> Verdict:
    return collectable({"sha256:a": asked}, named_by or {}, kept, NOW)["sha256:a"]


def test_what_nothing_names_goes_after_an_hour() -> None:
    assert verdict() == Verdict(True, UNUSED)


def test_what_somebody_asked_for_is_about_to_be_used() -> None:
    assert verdict(OLD + timedelta(seconds=1)) == Verdict(False, YOUNG)


def test_a_time_to_come_was_written_before_the_clock_went_back() -> None:
    assert not verdict(NOW + timedelta(days=400)).goes


def test_what_an_object_names_stays_and_it_is_told_which() -> None:
    assert verdict(named_by={"sha256:a": "ModelJob/train"}) == Verdict(False, "ModelJob/train names it")


def test_what_a_version_was_made_of_stays() -> None:
    assert not verdict(kept=("sha256:a",)).goes
    assert verdict(kept=("sha256:b",), named_by={"sha256:c": "Model/x"}).goes
