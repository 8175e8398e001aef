"""The order of what waits, against a plain list that is sorted anew each time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shipway.runtime.server.calls import Call
from shipway.runtime.server.engine.cost import Line
from shipway.runtime.server.engine.queue import Part, Queue

MAX_ROWS = 8
LINE = Line(0.5, 2.0)
CALL = Call({"x": np.zeros(1)})


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue(lambda key: LINE, MAX_ROWS)
        self.waiting: list[Part] = []
        self.number = 0

    @rule(key=st.sampled_from("abc"), rows=st.integers(0, MAX_ROWS), due=st.integers(0, 9), alone=st.booleans())
    def add(self, key: str, rows: int, due: int, alone: bool) -> None:
        self.number += 1
        part = Part(CALL, key, rows, alone, 0.0, float(due), self.number, size=rows * 10)
        self.waiting.append(part)
        self.queue.add(part)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        part = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(part)
        self.queue.remove(part)

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        batch = self.queue.take(next(self.queue.lanes()))
        ordered = sorted(self.waiting, key=lambda part: (part.due, part.number))
        same = [part for part in ordered if part.key == ordered[0].key]
        assert batch == same[: len(batch)], "the most urgent, and those behind it of its kind"
        assert len(batch) == 1 or sum(part.rows for part in batch) <= MAX_ROWS
        assert len(batch) == 1 or not any(part.alone for part in batch)
        if len(batch) < len(same) and not batch[0].alone:
            left = same[len(batch)]
            assert left.alone or sum(part.rows for part in [*batch, left]) > MAX_ROWS
        for part in batch:
            self.waiting.remove(part)

    @invariant()
    def counts(self) -> None:
        assert self.queue.calls == len(self.waiting)
        assert self.queue.rows == sum(part.rows for part in self.waiting)
        assert self.queue.size == sum(part.size for part in self.waiting)
        assert all(part.queued for part in self.waiting)
        kinds = [[part.rows for part in self.waiting if part.key == key] for key in {part.key for part in self.waiting}]
        calls = [min(max(math.ceil(sum(rows) / MAX_ROWS), 1), len(rows)) for rows in kinds]
        expected = sum(LINE.seconds(sum(rows), several) for rows, several in zip(kinds, calls, strict=True))
        assert abs(self.queue.seconds - expected) < 1e-6
        assert self.queue.ahead(-1.0) == 0
        assert abs(self.queue.ahead(10.0) - self.queue.seconds) < 1e-6
        assert self.queue.ahead(3.0) <= self.queue.ahead(6.0) + 1e-9


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_call_joins_the_batch_that_has_room_for_it() -> None:
    queue = Queue(lambda key: LINE, MAX_ROWS)
    assert queue.company("a", 1, 9.0) == 0
    for number, due in enumerate([1.0, 2.0, 3.0]):
        queue.add(Part(CALL, "a", 5, False, 0.0, due, number))
    assert [queue.company("a", 1, due) for due in (0.5, 1.5, 2.5, 9.0)] == [0, 5, 2, 7]
    assert (queue.company("a", 2, 9.0), queue.company("b", 1, 9.0)) == (0, 0)
    assert [queue.ahead(due) for due in (0.5, 1.5, 2.5, 9.0)] == [0.0, 4.5, 9.0, 11.5]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), min_size=1, max_size=40))
def test_no_kind_starves(arrivals: list[tuple[str, int]]) -> None:
    """One batch goes for each that comes; each part waits at most its patience and what was there before it."""
    patience, queue = 5.0, Queue(lambda key: LINE, 1)
    for now, (key, urgency) in enumerate(arrivals):
        due = min(now + patience, now + urgency if urgency else np.inf)
        queue.add(Part(CALL, key, 1, False, float(now), due, now))
    taken = []
    while queue.calls:
        taken += queue.take(next(queue.lanes()))
    for position, part in enumerate(taken):
        later = [other for other in taken[:position] if other.since > part.since + patience]
        assert not later, "overtaken by what came more than its patience later"
