"""From requests to calls of the model. Joins what is decided elsewhere (``queue``, ``batch``, ``cost``, ``holding``,
``admission``) with an executor. Lives on the event loop.

- Nothing waits while an instance is idle and ``batching.max_delay`` is 0, but for the end of the loop's turn: what came
  in it goes together. What comes while all are busy forms the next batch.
- A place is free when the work has ended, never when somebody stopped waiting for it.
- Every request is answered: by the model, at its deadline, or with what went wrong, also when that was the scheduler.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec import Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.admission import PER_CALL, refusal
from shipway.runtime.server.engine.batch import Key, cut, divisible, join, key_of, reunite, share
from shipway.runtime.server.engine.brief import Brief, Gathered
from shipway.runtime.server.engine.cost import UNKNOWN, Costs, Line
from shipway.runtime.server.engine.executor import Description, Executor, Stream
from shipway.runtime.server.engine.holding import Flows, Held, hold_until
from shipway.runtime.server.engine.observer import Observer, Silent
from shipway.runtime.server.engine.queue import Lane, Part, Queue
from shipway.runtime.server.refusals import NotServing, Reason, Refused, internal
from shipway.runtime.server.settings import Server

_DEFAULT = Server()
_STREAM_ENDS = 0.5  # seconds that a stream's end is waited for; its place is free when it has ended


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do, for metrics and for the decision how many replicas are needed.

    ``pending``: requests and parts of requests that wait or run; ``rows`` and ``seconds``: of those that wait, as
    predicted; ``capacity``: calls of the model at a time; ``offered``: seconds of work that ever were asked for, done
    or refused. The utilisation of a time is the growth of ``offered`` / seconds / ``capacity``.
    """

    pending: int
    rows: int
    seconds: float
    capacity: int
    offered: float


class Request(Struct, eq=False):
    """Somebody who waits. ``future`` gets an Answer, or a Stream where the model streams."""

    call: Call
    future: asyncio.Future[Any]
    parts: list[Part] = []
    answers: list[Answer] = []  # of the parts, in their order, when there are several
    missing: int = 1
    timer: asyncio.TimerHandle | None = None
    batch: Batch | None = None  # that runs, when it has nothing else


class Batch(Struct, eq=False):
    """Parts that go to the model together. ``ends``: when, as predicted."""

    parts: list[Part]
    rows: int
    started: float
    ends: float
    give_up: Callable[[], None] | None = None


class Scheduler:
    """Hands calls to an executor: together, in order of urgency, and not more than it can serve in time."""

    def __init__(
        self,
        executor: Executor,
        description: Description,
        settings: Server = _DEFAULT,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,  # uvloop's own stands still within a pass, and counts milliseconds
    ) -> None:
        self._executor = executor
        self._streams = description.streams
        self._max_rows = settings.batching.max_rows if description.batchable else 1
        self._batching = self._max_rows > 1
        self._max_delay = settings.batching.max_delay if self._batching else 0.0
        self._limit = settings.queue
        self._observer = observer or Silent()
        self._brief = Brief(executor, description.brief_rows, self._max_rows, self._observer, clock)
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._costs = Costs()
        self._flows = Flows() if self._max_delay else None
        self._queue = Queue(self._line, self._max_rows)
        self._again: deque[list[Part]] = deque()  # halves of batches that failed
        self._running = 0  # calls of the model
        self._parts = 0  # that these have
        self._ends = 0.0  # sum of the predicted ends of what runs
        self._number = 0
        self._offered = 0.0
        self._soon = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()
        executor.on_idle(self._dispatch)

    async def infer(self, call: Call) -> Answer:
        """The answer. Raises BadInput, Refused. Cancelling it takes the call out of the queue."""
        if self._streams:
            raise Refused(Reason.INVALID, "this model answers with a stream: ask for one")
        if self.is_brief(call):
            results = self.at_once([Gathered(call, self._clock())])
            if results is not None:
                if isinstance(results[0], Answer):
                    return results[0]
                raise results[0]
        request = self._submit(call)
        try:
            answer: Answer = await request.future
        except asyncio.CancelledError:
            self._leave(request, Reason.CANCELLED)
            raise
        return answer

    async def stream(self, call: Call) -> AsyncGenerator[Mapping[str, Array], None]:
        """The outputs, one after another; close it to end the model's work. Raises BadInput, Refused."""
        if not self._streams:
            raise Refused(Reason.INVALID, "this model does not stream: ask for one answer")
        request = self._submit(call)
        try:
            source: Stream = await request.future
        except asyncio.CancelledError:
            self._leave(request, Reason.CANCELLED)
            raise
        try:
            async for outputs in source:
                yield outputs
        finally:
            # Who waits for this is told its deadline behind it: a generator that hangs must not keep that back.
            await asyncio.wait({self._end_soon(request, source)}, timeout=_STREAM_ENDS)

    @property
    def load(self) -> Load:
        """As of now."""
        offered = self._offered + self._brief.offered
        return Load(self.pending, self._queue.rows, self._queue.seconds, self._capacity, offered)

    @property
    def pending(self) -> int:
        """Requests, and parts of large ones, that wait or run."""
        return self._queue.calls + self._parts + sum(map(len, self._again))

    def close(self) -> None:
        """Refuse what waits and what comes: the server is going away."""
        self._closed = True
        self._refuse_all(NotServing("this replica is shutting down"))

    # What comes in

    def is_brief(self, call: Call) -> bool:
        """Whether it can be answered by :meth:`at_once`, now."""
        return 0 < call.rows <= self._brief.rows and not self._running and not self._queue.calls

    def at_once(self, calls: Sequence[Gathered]) -> list[Answer | Exception] | None:
        """On the event loop, where to hand them to a thread would keep the loop busy for longer than the calls
        themselves: of each the answer, BadInput or Refused. None when they are not brief any more."""
        if self._running or self._queue.calls or not self._brief.rows:
            return None
        now = self._clock()
        refusals = [self._refusal(one.call, now) for one in calls]
        answers = iter(self._brief.answers([one for one, no in zip(calls, refusals, strict=True) if no is None]))
        return [no or next(answers) for no in refusals]

    def _refusal(self, call: Call, now: float) -> Refused | None:
        """Why it is not even begun."""
        if self._closed:
            return NotServing("this replica is shutting down")
        if call.expires <= now:
            self._observer.dropped(Reason.EXPIRED, 0.0)
            return Refused(Reason.EXPIRED, "the deadline had passed when the request came")
        return None

    def _submit(self, call: Call) -> Request:
        now = self._clock()
        refusal = self._refusal(call, now)
        if refusal is not None:
            raise refusal
        request = Request(call, self._loop.create_future())
        key = key_of(call)
        rows = call.rows
        if not self._batching and not self._queue.calls and self._executor.idle > 0:
            part = Part(call, key, rows, False, now, now, 0, owner=request)
            request.parts = [part]
            self._arm(request)
            self._begin([part], now)
        else:
            self._enqueue(request, key, rows, now)
            if not self._soon and self._executor.idle > 0:
                self._soon = True
                self._loop.call_soon(self._dispatch)  # what comes in the same turn of the loop goes with it
        return request

    def _enqueue(self, request: Request, key: Key, rows: int, now: float) -> None:
        """Raises Refused OVERLOADED."""
        call = request.call
        alone = not self._batching or not divisible(call)
        due = min(call.expires, now + self._limit)
        size = sum([array.nbytes for array in call.inputs.values()])
        if self._executor.idle <= self._queue.calls:
            self._admit(call, key, alone, due, size, now)
        pieces = [call] if alone or rows <= self._max_rows else cut(call, rows, self._max_rows)
        request.missing = len(pieces)
        request.answers = [None] * len(pieces)  # type: ignore[list-item]
        share_of_size = size // len(pieces) + PER_CALL
        for place, piece in enumerate(pieces):
            self._number += 1
            count = rows if len(pieces) == 1 else piece.rows
            part = Part(piece, key, count, alone, now, due, self._number, share_of_size, place, request)
            request.parts.append(part)
            self._queue.add(part)
        if self._flows is not None:
            self._flows.of(key).arrived(rows, len(pieces), now)
        self._arm(request)

    def _admit(self, call: Call, key: Key, alone: bool, due: float, size: int, now: float) -> None:
        urgent = call.expires != math.inf
        ahead = self._queue.ahead(due) if urgent else self._queue.seconds
        company = 0 if alone else self._queue.company(key, call.rows, due if urgent else math.inf)
        if company:
            ahead = max(ahead - self._price(key, company), 0.0)  # it does not wait for those with which it goes
        cost = self._price(key, company + call.rows) if urgent else 0.0
        remaining = max(self._ends - self._running * now, 0.0)
        wait = (remaining + ahead) / self._capacity if self._costs.learned else None
        waiting, limit = self._queue, self._limit
        left = call.expires - now
        refused = refusal(waiting.calls, waiting.size, wait, more=size + PER_CALL, cost=cost, left=left, queue=limit)
        if refused is not None:
            cost = self._price(key, call.rows)
            self._offered += cost
            self._observer.dropped(Reason.OVERLOADED, cost)
            raise refused

    def _arm(self, request: Request) -> None:
        if request.call.expires != math.inf:
            request.timer = self._loop.call_at(request.call.expires, self._expire, request)

    @staticmethod
    def _disarm(request: Request) -> None:
        if request.timer is not None:
            request.timer.cancel()

    # What leaves before it was run, or while it runs

    def _expire(self, request: Request) -> None:
        if not request.future.done():
            self._leave(request, Reason.EXPIRED)

    def _leave(self, request: Request, reason: Reason) -> None:
        """Nobody waits any more."""
        cost = sum(self._drop_part(part) for part in request.parts)
        self._offered += cost
        self._observer.dropped(reason, cost)
        batch, future = request.batch, request.future
        if reason is Reason.EXPIRED:
            self._fail(request, Refused(reason, "the deadline passed before the model had answered"))
        if batch is not None and batch.give_up is not None and all(part.owner.future.done() for part in batch.parts):
            batch.give_up()
        self._disarm(request)
        if future.done() and not future.cancelled() and future.exception() is None and self._streams:
            self._end_soon(request, future.result())  # it began as its caller went

    def _drop_part(self, part: Part) -> float:
        """What it would have cost."""
        if not part.queued:
            return 0.0
        self._queue.remove(part)
        if self._flows is not None:
            self._flows.of(part.key).left(part.rows)
        return self._price(part.key, part.rows)

    def _end_soon(self, request: Request, source: Stream) -> asyncio.Task[None]:
        task = self._loop.create_task(self._end_stream(request, source))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _end_stream(self, request: Request, source: Stream) -> None:
        assert request.batch is not None
        try:
            await source.aclose()
        finally:
            self._ended(request.batch, self._clock())

    # What runs next

    def _dispatch(self) -> None:
        """Begin what can begin. An error in it is ours; it is told to all who wait rather than to nobody."""
        self._soon = False
        try:
            while self._executor.idle > 0 and (self._again or self._queue.calls):
                now = self._clock()
                parts = self._again.popleft() if self._again else self._next(now)
                if parts is None:
                    break
                self._begin(parts, now)
        except Exception as error:
            self._refuse_all(internal(error))

    def _next(self, now: float) -> list[Part] | None:
        """The most urgent batch that is not better held; None when all are, with a timer for the first."""
        if self._flows is None:
            return self._queue.take(next(self._queue.lanes()), self._executor.idle)
        wake = math.inf
        for lane in self._queue.lanes():
            until = self._hold(self._flows, lane, now)
            if until <= now:
                idle = self._executor.idle
                lane.released = min(lane.rows, idle * self._max_rows)  # all that the others can take as well
                return self._queue.take(lane, idle)
            wake = min(wake, until)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wake - now, self._dispatch)
        return None

    def _hold(self, flows: Flows, lane: Lane, now: float) -> float:
        if lane.released or lane.rows >= self._max_rows or lane.entries[0][2].alone:
            return now
        since = min(part.since for _, _, part in lane.entries)
        held = Held(lane.rows, len(lane.entries), since, min(part.call.expires for _, _, part in lane.entries))
        line, flow = self._costs.line(lane.key), flows.of(lane.key)
        return hold_until(held, flow, line, max_rows=self._max_rows, max_delay=self._max_delay, now=now)

    def _begin(self, parts: list[Part], now: float) -> None:
        """Hand a batch to the executor. What nobody waits for is not begun, nor what has expired with a late timer."""
        parts = [part for part in parts if self._waits(part, now)]
        if not parts:
            return
        rows = sum([part.rows for part in parts])
        batch = Batch(parts, rows, now, now + self._line(parts[0].key).seconds(rows))
        self._running += 1
        self._parts += len(parts)
        self._ends += batch.ends
        if self._flows is not None:
            self._flows.of(parts[0].key).begun(rows, len(parts))
        for part in parts:
            self._observer.waited(now - part.since)
        request: Request = parts[0].owner
        try:
            if self._streams:
                request.batch = batch
                self._disarm(request)
                request.future.set_result(self._executor.stream(request.call))
            else:
                call = parts[0].call if len(parts) == 1 else join([part.call for part in parts])
                batch.give_up = self._executor.run(call, partial(self._done, batch))
                for part in parts:
                    part.owner.batch = batch if len(part.owner.parts) == 1 else None
        except Exception as error:
            self._ended(batch, now)
            self._fail_all(parts, internal(error))

    def _waits(self, part: Part, now: float) -> bool:
        """Whether somebody still does for it, which has left the queue."""
        if part.call.expires <= now:
            self._expire(part.owner)
        if not part.owner.future.done():
            return True
        if self._flows is not None:
            self._flows.of(part.key).left(part.rows)
        return False

    # What comes back

    def _ended(self, batch: Batch, now: float) -> None:
        self._running -= 1
        self._parts -= len(batch.parts)
        self._ends = self._ends - batch.ends if self._running else 0.0
        seconds = now - batch.started
        self._offered += seconds
        if self._flows is not None:
            self._flows.of(batch.parts[0].key).ended(batch.rows, len(batch.parts), now)
        if seconds:
            self._costs.observe(batch.parts[0].key, batch.rows, seconds)

    def _done(self, batch: Batch, result: Answer | Exception) -> None:
        self._ended(batch, self._clock())
        try:
            if isinstance(result, Answer):
                self._dispatch()  # first: whoever gets an answer waits for it a little longer, the model for nobody
                self._observer.computed(batch.rows, result.seconds)
                self._deliver(batch.parts, result)
            else:
                self._failed(batch.parts, result)
        except Refused as refused:
            self._failed(batch.parts, refused)
        except Exception as error:
            self._fail_all(batch.parts, internal(error))
        self._dispatch()

    def _deliver(self, parts: list[Part], answer: Answer) -> None:
        """Raises Refused FAILED, before anybody has got anything, when the answer does not fit."""
        answers = [answer] if len(parts) == 1 else share(answer, [part.rows for part in parts])
        for part, own in zip(parts, answers, strict=True):
            request: Request = part.owner
            if request.future.done():
                continue
            if len(request.answers) > 1:
                request.answers[part.place] = own
                request.missing -= 1
                if request.missing:
                    continue
                try:
                    own = reunite(request.answers)
                except Refused as refused:
                    self._fail(request, refused)
                    continue
            self._disarm(request)
            request.future.set_result(own)

    def _failed(self, parts: list[Part], error: Exception) -> None:
        """One row may have spoiled the batch: its halves are tried apart, until it stands alone. What a dead worker had
        is not tried again: it may be what killed it."""
        innocent = isinstance(error, BadInput) or (isinstance(error, Refused) and error.reason is Reason.FAILED)
        if len(parts) > 1 and innocent:
            middle = len(parts) // 2
            self._again.extend((parts[:middle], parts[middle:]))
            if self._flows is not None:
                self._flows.of(parts[0].key).left(-sum([part.rows for part in parts]), -len(parts))  # they are back
        else:
            self._fail_all(parts, error)

    def _fail_all(self, parts: Iterable[Part], error: Exception) -> None:
        for part in parts:
            self._fail(part.owner, error)

    def _fail(self, request: Request, error: Exception) -> None:
        """An exception of its own for each: raised in several tasks, one would collect all their tracebacks."""
        self._disarm(request)
        if isinstance(error, Refused):
            error = Refused(error.reason, error.message, error.retry_after)
        for part in request.parts:
            self._drop_part(part)
        if not request.future.done():
            request.future.set_exception(error)

    def _refuse_all(self, refused: Refused) -> None:
        waiting = [part for lane in self._queue.lanes() for _, _, part in lane.entries]
        waiting += [part for parts in self._again for part in parts]
        self._again.clear()
        self._fail_all(waiting, refused)

    # What is known

    @property
    def _capacity(self) -> int:
        return max(self._running + self._executor.idle, 1)

    def _price(self, key: Key, rows: int) -> float:
        """Of one request or part: what is larger than a batch is cut, where there are batches at all."""
        return self._line(key).seconds(rows, -(-rows // self._max_rows) or 1 if self._batching else 1)

    def _line(self, key: Key) -> Line:
        return self._costs.line(key) or UNKNOWN
