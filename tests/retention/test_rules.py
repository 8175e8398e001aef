"""Bounds in number and age, and what is referred to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shipway.retention import Ended, Keep, Retention, surplus

NOW = datetime(2026, 1, 31, tzinfo=UTC)
KEEP = Keep(newest=2, days=7.0, most=4)


def ended(*days_ago: float) -> list[Ended]:
    """Oldest first, named by their place from the end: the newest is 1."""
    return [
        Ended(str(len(days_ago) - place), NOW - timedelta(days=days))
        for place, days in zip(range(len(days_ago)), days_ago, strict=True)
    ]


@pytest.mark.parametrize(
    "days_ago, gone",
    [
        ((), ()),
        ((99, 98), ()),  # the newest stay, however old
        ((99, 98, 97), ("3",)),
        ((6, 5, 4), ()),  # young ones stay too
        ((7, 5, 4), ("3",)),  # a bound is a bound
        ((6, 5, 4, 3, 2, 1), ("6", "5")),  # and never more than so many
        ((-1, 5, 4, 3), ()),  # the clock went back: what ended in the future is young
    ],
)
def test_what_may_go(days_ago: tuple[float, ...], gone: tuple[str, ...]) -> None:
    assert surplus(ended(*days_ago), KEEP, NOW) == gone


def test_what_is_referred_to_stays_and_is_counted() -> None:
    assert surplus(ended(99, 98, 97, 96), KEEP, NOW, needed=("4",)) == ("3",)


def test_the_defaults_are_those_of_the_page() -> None:
    rules = Retention()
    assert rules.journal_before(NOW) == datetime(2026, 1, 1, tzinfo=UTC)
    assert KEEP.in_words("runs") == "kept are the newest 2 runs and those younger than 7 days, 4 in all"
