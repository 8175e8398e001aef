"""From requests to calls of the model: what waits, what runs next, what is refused. Lives on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.executor import Description, Executor
from shipway.runtime.server.refusals import Reason, Refused


class Scheduler:
    """Hands calls to an executor, in order of arrival."""

    def __init__(self, executor: Executor, description: Description) -> None:
        self._executor = executor
        self._description = description
        self._waiting: deque[tuple[Call, asyncio.Future[Answer]]] = deque()
        self._running = 0
        executor.on_idle(self._dispatch)

    async def infer(self, call: Call) -> Answer:
        """The answer. Raises BadInput, Refused. Cancelling it takes the call out of the queue."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        self._dispatch()
        return await future

    @property
    def pending(self) -> int:
        """Calls that wait or run."""
        return len(self._waiting) + self._running

    def close(self) -> None:
        """Refuse what waits: the server is going away."""
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Refused(Reason.UNAVAILABLE, "this replica is shutting down", retry_after=1.0))

    def _dispatch(self) -> None:
        while self._waiting and self._executor.idle:
            call, future = self._waiting.popleft()
            if future.done():
                continue
            self._running += 1
            self._executor.run(call, lambda result, future=future: self._finish(future, result))  # type: ignore[misc]

    def _finish(self, future: asyncio.Future[Answer], result: Answer | Exception) -> None:
        self._running -= 1
        if not future.done():
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        self._dispatch()
