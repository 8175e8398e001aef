"""The life of a replica as its probes tell it, in virtual time."""

from __future__ import annotations

from shipway.cluster.local.supervisor.health import NEVER, Health


def spec(period: float = 1.0, threshold: int = 3) -> dict[str, object]:
    return {"path": None, "period": period, "timeout": 1.0, "failure_threshold": threshold}


def answer(health: Health, now: float, *, passed: bool) -> list[str]:
    """All probes that are due are answered at once; their kinds."""
    due = health.due(now)
    for probe in due:
        if passed:
            health.passed(probe, now)
        else:
            health.failed(probe, "refused", now)
    return [probe.kind for probe in due]


def test_without_probes_it_is_ready_at_once() -> None:
    health = Health({}, 5.0)
    assert (health.phase, health.wake_at) == ("Ready", NEVER)
    assert health.healthy_for(8.0) == 3.0


def test_a_replica_that_is_up_in_300_ms_is_seen_at_once() -> None:
    health = Health({"startup": spec(period=10.0, threshold=60), "readiness": spec()}, 0.0)
    asked = []
    while health.phase != "Ready":
        now = health.wake_at
        asked.append(now)
        answer(health, now, passed=now >= 0.3)
    assert asked[-1] <= 0.35
    assert len(asked) <= 9


def test_probing_slows_down_to_the_period() -> None:
    health = Health({"readiness": spec(period=1.0)}, 0.0)
    waits = []
    for _ in range(60):
        now = health.wake_at
        answer(health, now, passed=False)
        waits.append(round(health.wake_at - now, 6))
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.05, 1.0)
    assert (health.phase, health.message, health.doom) == ("Starting", "refused", "")


def test_startup_may_take_period_times_threshold() -> None:
    health = Health({"startup": spec(period=1.0, threshold=2), "liveness": spec(period=0.1)}, 100.0)
    while not health.doom:
        now = health.wake_at
        assert answer(health, now, passed=False) == ["startup"]
    assert now == 102.0
    assert (health.doom, health.message) == ("StartupProbeFailed", "not up after 2 s: refused")


def test_liveness_must_fail_in_a_row() -> None:
    health = Health({"liveness": spec(period=5.0, threshold=2)}, 0.0)
    assert (health.phase, health.wake_at) == ("Ready", 5.0)
    for passed in (False, True, False):
        answer(health, health.wake_at, passed=passed)
        assert health.doom == ""
    answer(health, health.wake_at, passed=False)
    assert (health.doom, health.message) == ("LivenessProbeFailed", "2 times in a row: refused")


def test_readiness_comes_and_goes() -> None:
    health = Health({"readiness": spec(period=1.0, threshold=2)}, 0.0)
    answer(health, 0.0, passed=True)
    assert health.phase == "Ready"
    answer(health, 1.0, passed=False)
    assert (health.phase, health.message) == ("Ready", "")
    answer(health, 2.0, passed=False)
    assert (health.phase, health.message) == ("NotReady", "refused")
    assert health.healthy_for(9.0) == 2.0
    answer(health, 3.0, passed=True)
    assert (health.phase, health.message) == ("Ready", "")
    assert health.healthy_for(10.0) == 7.0


def test_a_probe_is_not_due_again_before_its_answer() -> None:
    health = Health({"readiness": spec()}, 0.0)
    assert len(health.due(0.0)) == 1
    assert health.due(99.0) == []
