"""An event loop for user code, in a thread of its own: what blocks it blocks no probe and no other model."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.executor import Done
from shipway.runtime.server.loading.model import Model, call_async
from shipway.runtime.server.refusals import Reason, Refused

_GRACE = 1.0  # seconds for what is cancelled at the end

T = TypeVar("T")
Post = Callable[[Callable[[], None]], None]


class OwnLoop:
    """Takes work from the server's loop; results go back through ``post``."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self._loop = asyncio.new_event_loop()
        self._jobs: deque[Callable[[], None]] = deque()
        self._woken = False
        self._stopped = False
        self._tasks: set[asyncio.Task[Any]] = set()
        threading.Thread(target=self._live, name="model-loop", daemon=True).start()

    def do(self, job: Callable[[], None]) -> None:
        """Have it called in the loop; many at a time cost one wake-up."""
        self._jobs.append(job)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # closed
                self._loop.call_soon_threadsafe(self._empty)

    def run(self, model: Model, request: Call, finished: Done) -> Callable[[], None]:
        """Begin a call; what is returned cancels it. ``finished`` is called in the server's loop."""
        work = _Work(self, model, request, finished)
        self.do(work.begin)
        return work.give_up

    def task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """In the loop: begin it. It is cancelled at the end."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stop(self) -> None:
        """Cancel all, and end the loop after a moment. Does not wait: user code may hang."""
        self.do(self._stopping)

    def _stopping(self) -> None:
        self._stopped = True
        self._end = self._loop.create_task(self._cancel_all())  # kept: the loop itself holds tasks weakly

    async def _cancel_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)
        self._loop.stop()

    def _empty(self) -> None:
        self._woken = False
        while self._jobs:
            self._jobs.popleft()()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._stopped:
                # asyncio lets these two through, after the task has got them: user code must not end the loop.
                with contextlib.suppress(SystemExit, KeyboardInterrupt):
                    self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


class _Work:
    """One call that may be given up before, while, and after it runs."""

    __slots__ = ("_finished", "_given_up", "_model", "_own", "_request", "_task")

    def __init__(self, own: OwnLoop, model: Model, request: Call, finished: Done) -> None:
        self._own = own
        self._model = model
        self._request = request
        self._finished = finished
        self._given_up = False
        self._task: asyncio.Task[Answer] | None = None

    def begin(self) -> None:
        self._task = self._own.task(call_async(self._model, self._request))
        self._task.add_done_callback(self._ended)

    def give_up(self) -> None:
        self._own.do(self._cancel)

    def _cancel(self) -> None:
        self._given_up = True
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        # By a callback and not in the coroutine: a task that is cancelled before its first step runs none of it.
        self._own.post(partial(self._finished, self._result(task)))

    def _result(self, task: asyncio.Task[Answer]) -> Answer | Exception:
        if task.cancelled():
            if self._given_up:
                return Refused(Reason.CANCELLED, "nobody waits for the answer any more")
            return Refused(Reason.FAILED, "predict failed: CancelledError: what it awaited was cancelled")
        error = task.exception()
        if error is None:
            return task.result()
        return error if isinstance(error, Exception) else Refused(Reason.FAILED, f"predict failed: {error!r}")
