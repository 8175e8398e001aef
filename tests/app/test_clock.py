"""The hub's clock: what it says of leaps, and what a hub with such a clock does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shipway.clock import SystemClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Wall:
    """A wall clock that shows what the test sets."""

    def __init__(self) -> None:
        self.shows = NOON

    def __call__(self) -> datetime:
        return self.shows


def test_a_clock_that_runs_is_steady_since_it_was_made() -> None:
    wall = Wall()
    clock = SystemClock(wall)
    for _ in range(100):
        wall.shows += timedelta(seconds=1)
        assert clock.now() == wall.shows
    assert clock.steady_since() == NOON


@pytest.mark.parametrize("leap", [3600.0, -3600.0, 60.0], ids=["forward", "back", "a minute's sleep"])
def test_a_leap_is_seen_at_the_next_look(leap: float) -> None:
    wall = Wall()
    clock = SystemClock(wall)
    wall.shows += timedelta(seconds=leap)
    leapt = clock.now()
    assert clock.steady_since() == leapt == wall.shows
    wall.shows += timedelta(seconds=1)
    clock.now()
    assert clock.steady_since() == leapt


def test_a_slow_second_and_a_correction_by_ntp_are_no_leaps() -> None:
    wall = Wall()
    clock = SystemClock(wall)
    for seconds in (4.0, -0.5, -2.0, 4.0):
        wall.shows += timedelta(seconds=seconds)
        clock.now()
    assert clock.steady_since() == NOON


def test_the_beat_looks_by_itself() -> None:
    wall = Wall()
    clock = SystemClock(wall)

    async def scene() -> None:
        beat = asyncio.create_task(clock.beat())
        wall.shows += timedelta(hours=1)
        await asyncio.sleep(0)
        beat.cancel()

    asyncio.run(scene())
    assert clock.steady_since() == wall.shows
