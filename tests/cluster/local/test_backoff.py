from __future__ import annotations

import pytest

from shipway.cluster.local.supervisor.backoff import next_restart


@pytest.mark.parametrize(
    ("failures", "ran_for", "healthy_for", "expected"),
    [
        (0, 10.1, 0, (1, 0.0)),
        (0, 10.0, 0, (1, 0.5)),
        (1, 1, 0, (2, 1.0)),
        (1, 3600, 59.9, (2, 1.0)),
        (2, 1, 0, (3, 2.0)),
        (5, 1, 0, (6, 16.0)),
        (6, 1, 0, (7, 30.0)),
        (100_000, 1, 0, (100_001, 30.0)),
        (9, 61, 60, (1, 0.0)),
    ],
)
def test_waits(failures: int, ran_for: float, healthy_for: float, expected: tuple[int, float]) -> None:
    assert next_restart(failures, ran_for, healthy_for, longest=30.0) == expected


def test_a_workload_says_how_long_it_may_take() -> None:
    assert [next_restart(failures, 1, 0, longest=1.0)[1] for failures in range(4)] == [0.5, 1.0, 1.0, 1.0]
