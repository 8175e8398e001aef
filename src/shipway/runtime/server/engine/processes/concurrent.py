"""What a worker does with an ``async def predict``: many calls at a time in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.line import Line
from shipway.runtime.server.engine.processes.post import Post
from shipway.runtime.server.engine.processes.way import asked, failed
from shipway.runtime.server.engine.processes.wire import (
    Cancel,
    Done,
    End,
    Failed,
    FromWorker,
    Item,
    Next,
    Run,
    Stop,
    ToWorker,
    Trim,
)
from shipway.runtime.server.loading.model import Model, call_async, items_async
from shipway.runtime.server.refusals import Reason


class Concurrent:
    """One event loop for loading's warm-up call and for all that follow: clients of other services belong to one."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def first(self, model: Model, request: Call) -> Mapping[str, Array]:
        return self._runner.run(_first(model, request))

    def serve(self, model: Model, post: Post) -> None:
        with self._runner:
            self._runner.run(_Calls(model, post.channel).serve(post))


async def _first(model: Model, request: Call) -> Mapping[str, Array]:
    if not model.streams:
        return (await call_async(model, request)).outputs
    async with contextlib.aclosing(items_async(model, request)) as generator:
        return await anext(generator, {})


class _Calls:
    """Each call is a task; cancelling the call cancels the task."""

    def __init__(self, model: Model, channel: Channel) -> None:
        self._model = model
        self._channel = channel
        self._tasks: dict[int, asyncio.Task[FromWorker]] = {}
        self._asked_for: dict[int, asyncio.Event] = {}  # the next item of a stream
        self._over = asyncio.Event()
        self._line = Line(channel, self._received, lost=self._over.set)

    async def serve(self, post: Post) -> None:
        """Until the server says stop, or has gone; then until what was begun has ended."""
        await self._line.open(post.connection)
        for early in post.waiting:
            self._received(early)
        await self._over.wait()
        if self._tasks and self._line.is_open:
            await asyncio.wait(self._tasks.values())
            await asyncio.sleep(0)  # for the last answers to be sent

    def _received(self, frame: ToWorker) -> None:
        match frame:
            case Run():
                self._begin(frame)
            case Next() if frame.number in self._asked_for:
                self._asked_for[frame.number].set()
            case Cancel() if frame.number in self._tasks:
                self._tasks[frame.number].cancel()
            case Trim():
                self._channel.trim()
            case Stop():
                self._over.set()

    def _begin(self, run: Run) -> None:
        work = self._streamed(run) if run.streams else self._answered(run)
        task = self._tasks[run.number] = asyncio.ensure_future(work)
        task.add_done_callback(lambda task: self._ended(run.number, task))

    def _ended(self, number: int, task: asyncio.Task[FromWorker]) -> None:
        del self._tasks[number]
        self._asked_for.pop(number, None)
        self._line.send(Failed(number, Reason.CANCELLED.name, "cancelled", None) if task.cancelled() else task.result())

    async def _answered(self, run: Run) -> Done | Failed:
        try:
            answer = await call_async(self._model, asked(self._channel, run))
            outputs = self._channel.write(answer.outputs)
        except Exception as error:
            return failed(run.number, error)
        return Done(run.number, outputs, answer.rows, answer.seconds, answer.parameters, answer.began)

    async def _streamed(self, run: Run) -> End | Failed:
        next_ = self._asked_for[run.number] = asyncio.Event()
        try:
            async with contextlib.aclosing(items_async(self._model, asked(self._channel, run))) as generator:
                async for outputs in generator:
                    self._line.send(Item(run.number, self._channel.write(outputs)))
                    await next_.wait()
                    next_.clear()
        except Exception as error:
            return failed(run.number, error)
        return End(run.number)
