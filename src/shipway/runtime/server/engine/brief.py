"""Calls that take the model less time than to hand them to a thread: made on the event loop, those of a turn together.

Nothing waits for company here: what came in one turn of the loop is there already, and one call for all of it costs
little more than the call for the first (a logistic regression in ONNX: 5.6 us for a row, 9 us for 32).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.batch import join, key_of, share
from shipway.runtime.server.engine.executor import Executor
from shipway.runtime.server.engine.observer import Observer
from shipway.runtime.server.refusals import Refused, internal

_NOT_BRIEF = 0.0005  # seconds: a model whose brief calls take so long of late is handed over from then on
_OF_LATE = 1 / 32  # weight of the newest; one call may have been interrupted for milliseconds


class Gathered(NamedTuple):
    """A call and when it was understood."""

    call: Call
    since: float


class Brief:
    """``rows``: how many of one call are brief; 0 where none are. ``most``: of all that go to the model together."""

    def __init__(
        self, executor: Executor, rows: int, most: int, observer: Observer, clock: Callable[[], float]
    ) -> None:
        self.rows = rows
        self.offered = 0.0  # seconds of work, ever
        self._executor = executor
        self._most = most
        self._observer = observer
        self._clock = clock
        self._seconds = 0.0  # of a call, of late

    def answers(self, calls: Sequence[Gathered]) -> list[Answer | Exception]:
        """Of each in its turn: the answer or an error, BadInput or Refused, which is its own and nobody else's."""
        if len(calls) == 1:
            return [self._alone(calls[0])]
        found: list[Answer | Exception] = []
        for together in _batches(calls, self._most):
            found += self._together(together)
        return found

    def _together(self, calls: list[Gathered]) -> list[Answer | Exception]:
        if len(calls) == 1:
            return [self._alone(calls[0])]
        try:
            answer = self._call(join([one.call for one in calls]), calls)
            return [*share(answer, [one.call.rows for one in calls])]
        except Exception:
            return [self._alone(one) for one in calls]  # one row may have spoiled it for all

    def _alone(self, one: Gathered) -> Answer | Exception:
        try:
            return self._call(one.call, [one])
        except (BadInput, Refused) as error:
            return error
        except Exception as error:
            return internal(error)

    def _call(self, call: Call, calls: Sequence[Gathered]) -> Answer:
        """Raises BadInput, Refused."""
        began = self._clock()
        try:
            answer = self._executor.at_once(call)
        finally:
            seconds = self._clock() - began
            self.offered += seconds
            self._seconds += (seconds / len(calls) - self._seconds) * _OF_LATE
            if self._seconds > _NOT_BRIEF:
                self.rows = 0
        for one in calls:
            self._observer.waited(began - one.since)
        self._observer.computed(answer.rows, seconds)
        return answer


def _batches(calls: Sequence[Gathered], most: int) -> Iterator[list[Gathered]]:
    """Neighbours that may go together, of at most so many rows."""
    for _, alike in groupby(calls, lambda one: key_of(one.call)):
        batch: list[Gathered] = []
        rows = 0
        for one in alike:
            rows += one.call.rows
            if batch and rows > most:
                yield batch
                batch, rows = [], one.call.rows
            batch.append(one)
        yield batch
