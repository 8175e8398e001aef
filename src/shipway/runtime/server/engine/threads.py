"""Models in threads of this process: nothing is copied, for engines that release the interpreter's lock."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.batch import whole
from shipway.runtime.server.engine.executor import Description, Done, Stream
from shipway.runtime.server.engine.own_loop import OwnLoop
from shipway.runtime.server.engine.streams import AsyncSource, PlainSource
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.model import call as predict
from shipway.runtime.server.loading.warmup import warming, warmup_call
from shipway.runtime.server.refusals import Reason, Refused

_AT_A_TIME = 1024  # calls of an async model
_HAND_OVER = 25e-6  # seconds that it costs the event loop itself to hand a call to a thread and take its answer
_TRIALS = 20

Job = Callable[[], None]


class Mailbox:
    """From other threads to the event loop: what is posted while the loop is busy costs it one wake-up together."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._posted: deque[Job] = deque()
        self._woken = False

    def post(self, job: Job) -> None:
        """From any thread: have the loop call it. What comes when the loop has ended is lost."""
        self._posted.append(job)
        if not self._woken:
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._empty)
            except RuntimeError:  # closed: a thread that hung came back after the end
                self._posted.clear()

    def _empty(self) -> None:
        self._woken = False  # before the look: what is posted from here on wakes the loop anew
        posted = self._posted
        while posted:
            job = posted.popleft()
            try:
                job()
            except Exception as error:  # a bug of ours; the others' results are not lost by it
                traceback.print_exception(error, file=sys.stderr)


class ThreadExecutor:
    """Runs a model in ``instances`` threads; ``async`` models in an event loop of their own, in one more thread.

    With one instance, the thread that loaded is the thread that predicts: many models are not safe otherwise. Those
    that are (``Model.any_thread``) answer brief calls on the event loop, too. The threads are daemons: user code that
    hangs does not keep the process from its end.
    """

    def __init__(self, load: Callable[[], Model], instances: int = 1) -> None:
        self._load = load
        self._instances = instances
        self._busy = 0
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._own: OwnLoop | None = None
        self._model: Model | None = None
        self._wake: Callable[[], None] = lambda: None

    async def start(self) -> Description:
        self._mailbox = Mailbox(asyncio.get_running_loop())
        for number in range(self._instances):
            threading.Thread(target=_work, args=(self._jobs,), name=f"model-{number}", daemon=True).start()
        try:
            model = await self._do(self._load)
            if model.is_async:
                self._own = OwnLoop(self._mailbox.post)
            self._model = model
            self._model = await self._warm(model)
            brief_rows = await self._do(partial(_brief_rows, self._model))
        except BaseException:
            await self.stop()
            raise
        return Description(
            self._model.format,
            self._model.signature,
            concurrent=model.is_async,
            streams=model.streams,
            brief_rows=brief_rows,
            opened=model.opened,
        )

    @property
    def idle(self) -> int:
        return (_AT_A_TIME if self._own is not None else self._instances) - self._busy

    def on_idle(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def at_once(self, call: Call) -> Answer:
        return predict(self._loaded, whole(call))

    def run(self, call: Call, done: Done) -> Callable[[], None] | None:
        self._busy += 1
        finished = partial(self._finished, done)
        if self._own is not None:
            return self._own.run(self._loaded, call, finished)
        self._jobs.put(partial(_predict, self._loaded, call, self._mailbox.post, finished))
        return None

    def stream(self, call: Call) -> Stream:
        self._busy += 1
        if self._own is not None:
            return AsyncSource(self._loaded, call, self._own, self._freed)
        source = PlainSource(self._loaded, call, self._mailbox.post, self._freed)
        self._jobs.put(source.serve)
        return source

    async def stop(self) -> None:
        for _ in range(self._instances):
            self._jobs.put(None)
        if self._own is not None:
            self._own.stop()
        self._model = None

    @property
    def _loaded(self) -> Model:
        assert self._model is not None, "start() comes first"
        return self._model

    def _finished(self, done: Done, result: Answer | Exception) -> None:
        self._busy -= 1
        done(result)

    def _freed(self) -> None:
        self._busy -= 1
        self._wake()

    async def _do(self, function: Callable[[], Any]) -> Any:
        """What the function gives, called in an instance's thread."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def job() -> None:
            try:
                settle = partial(future.set_result, function())
            except StopIteration as error:  # which no future takes: start() would wait for ever
                settle = partial(future.set_exception, RuntimeError(f"StopIteration: {error}"))
            except BaseException as error:
                settle = partial(future.set_exception, error)
            self._mailbox.post(lambda: None if future.done() else settle())

        self._jobs.put(job)
        return await future

    async def _warm(self, model: Model) -> Model:
        """One call before the first request. Raises ModelRefused."""
        with warming():
            request = await self._do(partial(warmup_call, model))
            if request is None:
                return model
            if model.streams:
                await self._first_item(request)
                return model
            future: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()
            self.run(request, future.set_result)
            answer = await future
            if isinstance(answer, Exception):
                raise answer
        return model.learned(answer.outputs)

    async def _first_item(self, request: Call) -> None:
        source = self.stream(request)
        try:
            async for _ in source:
                break
        finally:
            await source.aclose()


def _brief_rows(model: Model) -> int:
    """How many rows take less than handing them over, measured on the warm-up's row."""
    inputs = model.warmup_inputs() if model.any_thread and model.signature.batched else None
    if inputs is None:
        return 0
    one = Call({name: array[:1] for name, array in inputs.items()})
    least = min(predict(model, one).seconds for _ in range(_TRIALS))
    return int(_HAND_OVER / max(least, 1e-6))


def _work(jobs: SimpleQueue[Job | None]) -> None:
    """The life of a thread."""
    while (job := jobs.get()) is not None:
        job()
        del job  # else it keeps the last request's arrays until the next comes


def _predict(model: Model, request: Call, post: Callable[[Job], None], finished: Done) -> None:
    result: Answer | Exception
    try:
        result = predict(model, whole(request))
    except Exception as error:
        result = error
    except BaseException as error:  # KeyboardInterrupt raised by user code: the thread must not die of it
        result = Refused(Reason.FAILED, f"predict failed: {type(error).__name__}: {error}")
    post(partial(finished, result))
