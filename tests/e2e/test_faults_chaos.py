"""The short form of `make chaos`, and the rules by which a run is judged."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.chaos import in_fresh_home
from tests.e2e.chaos_plan import KILLS, WORK, Death, Failure, blame, schedule


def test_a_schedule_is_a_function_of_its_seed() -> None:
    assert schedule(3, 180.0) == schedule(3, 180.0)
    assert schedule(3, 180.0) != schedule(4, 180.0)
    steps = schedule(3, 180.0)
    assert list(steps) == sorted(steps, key=lambda one: one.at)
    assert steps[0].at > 0.0 and steps[-1].at < 180.0
    assert all(0.0 <= one.draw < 1.0 for one in steps)


@pytest.mark.parametrize("seconds", [25.0, 180.0])
def test_every_role_and_every_kind_of_work_has_its_turn(seconds: float) -> None:
    counts: Counter[tuple[str, str]] = Counter((one.kind, one.what) for one in schedule(1, seconds))
    for kind, whats in (("kill", KILLS), ("work", WORK)):
        turns = [counts[kind, what] for what in whats]
        assert min(turns) >= 1 and max(turns) - min(turns) <= 1


DEATH = Death(last_seen=10.0, missed=10.01, back=11.0)


@pytest.mark.parametrize(
    ("failure", "explained"),
    [
        (Failure(0, connected=5.0, failed=10.1, what=""), True),
        (Failure(0, connected=10.005, failed=10.1, what=""), True),  # taken in by the backlog of a dying one
        (Failure(0, connected=None, failed=10.9, what=""), True),
        (Failure(0, connected=5.0, failed=9.9, what=""), False),  # before it died
        (Failure(0, connected=10.5, failed=10.9, what=""), False),  # on the next one
        (Failure(0, connected=5.0, failed=12.0, what=""), False),  # long after
        (Failure(0, connected=None, failed=5.0, what=""), False),
    ],
)
def test_whose_fault_a_failure_is(failure: Failure, explained: bool) -> None:
    assert blame([failure], [DEATH]) == ([] if explained else [failure])


def test_a_death_breaks_a_connection_once() -> None:
    twice = [Failure(0, 5.0, 10.1, ""), Failure(0, 5.0, 10.2, ""), Failure(1, 5.0, 10.2, "")]
    assert blame(twice, [DEATH]) == [twice[1]]


@pytest.mark.timeout(300)
def test_chaos() -> None:
    """Every role is killed; what is not killed goes on, and at the end all is as if nothing had been."""
    report = in_fresh_home(seed=7, seconds=25.0)
    print("\n".join([*report.lines, report.summary()]))
    assert report.problems == []
    assert report.unexplained == []
    assert report.answered.total() > 0
    assert set(report.killed) >= {"hub", "supervisor", "replica", "job", "envoy"}
