"""A supervisor that slept: whose deadlines pass, and whose do not."""

from __future__ import annotations

from shipway.cluster.local.supervisor.awake import Awake
from shipway.cluster.local.supervisor.health import NEVER, Health


class Ticks:
    def __init__(self) -> None:
        self.shows = 1000.0

    def __call__(self) -> float:
        return self.shows


def test_time_passes_while_it_wakes_in_time() -> None:
    ticks = Ticks()
    clock = Awake(ticks)
    for _ in range(100):
        due = clock.now() + 1.0
        ticks.shows += 2.9  # a busy machine
        clock.woke(due)
    assert clock.now() == ticks.shows


def test_what_it_slept_through_has_not_passed() -> None:
    ticks = Ticks()
    clock = Awake(ticks)
    due = clock.now() + 1.0
    ticks.shows += 3600.0
    clock.woke(due)
    assert clock.now() == due - 1.0, "what was due a moment after it fell asleep has a second more"


def test_who_waits_for_nothing_cannot_be_late() -> None:
    ticks = Ticks()
    clock = Awake(ticks)
    ticks.shows += 3600.0
    clock.woke(NEVER)
    assert clock.now() == ticks.shows


def test_a_laptop_that_sleeps_fails_no_probe_and_no_start() -> None:
    """The deadline of a start is 60 s, and that of the question under way 1 s: neither has come."""
    ticks = Ticks()
    clock = Awake(ticks)
    health = Health(
        {"startup": {"path": "/", "period": 1.0, "timeout": 1.0, "failure_threshold": 60}, "liveness": None},
        clock.now(),
    )
    (probe,) = health.due(clock.now())
    deadline = clock.now() + probe.timeout
    ticks.shows += 8 * 3600.0
    clock.woke(deadline)
    assert clock.now() < deadline
    health.failed(probe, "not yet", clock.now())
    assert health.doom == ""
