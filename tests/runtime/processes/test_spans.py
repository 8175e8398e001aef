"""Which parts of the shared memory are taken."""

from __future__ import annotations

import random

from shipway.runtime.server.engine.isolation import isolation_of
from shipway.runtime.server.engine.processes.executor import pause
from shipway.runtime.server.engine.processes.spans import GRAIN, Spans, rounded


def test_what_is_taken_never_overlaps_and_what_is_given_back_joins() -> None:
    chance = random.Random(4)
    spans, taken = Spans(64 * GRAIN), dict[int, int]()
    for _ in range(5000):
        if taken and chance.random() < 0.5:
            start = chance.choice(list(taken))
            spans.give(start)
            del taken[start]
        else:
            size = chance.randint(1, 12) * GRAIN
            start = _take(spans, size)
            assert start % GRAIN == 0
            assert all(start + size <= other or other + length <= start for other, length in taken.items())
            taken[start] = size
        assert spans.end == max((start + size for start, size in taken.items()), default=0)
        assert spans.end <= spans.size
    for start in taken:
        spans.give(start)
    assert spans.take(spans.size) == 0


def _take(spans: Spans, size: int) -> int:
    start = spans.take(size)
    if start is None:
        spans.grow(spans.size + size)
        start = spans.take(size)
    assert start is not None
    return start


def test_there_is_room_where_there_is_a_gap() -> None:
    spans = Spans(4 * GRAIN)
    first, second = spans.take(2 * GRAIN), spans.take(2 * GRAIN)
    assert (first, second, spans.take(GRAIN)) == (0, 2 * GRAIN, None)
    spans.give(0)
    assert spans.end == 4 * GRAIN
    assert spans.take(GRAIN) == 0
    assert (rounded(0), rounded(1), rounded(64)) == (0, 64, 64)


def test_the_next_start_waits_longer_each_time() -> None:
    assert [pause(deaths) for deaths in (1, 2, 3, 7, 8, 5000)] == [0.1, 0.2, 0.4, 6.4, 10.0, 10.0]


def test_code_of_the_users_own_gets_a_process() -> None:
    assert isolation_of("auto", predictor=True).isolation == "process"
    assert isolation_of("auto", predictor=False).isolation == "thread"
    for predictor in (True, False):
        assert isolation_of("thread", predictor=predictor).isolation == "thread"
        assert isolation_of("process", predictor=predictor).isolation == "process"
    assert "`isolation: thread`" in isolation_of("thread", predictor=True).reason
