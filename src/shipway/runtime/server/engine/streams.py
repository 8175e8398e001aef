"""Generators in other threads as asynchronous iterators of the server's loop.

Back-pressure: the generator runs only between a request for the next output and that output. It is asked for one at a
time, so a slow reader holds its place and buffers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue

from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.own_loop import OwnLoop, Post
from shipway.runtime.server.loading.model import Model, items, items_async
from shipway.runtime.server.refusals import Reason, Refused

Outputs = Mapping[str, Array]


class _Source:
    """The server's side. ``freed`` is called in its loop, once, when the generator has ended."""

    def __init__(self, freed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._freed = freed
        self._next: asyncio.Future[Outputs] | None = None
        self._ended = asyncio.Event()
        self._error: BaseException | None = None

    def __aiter__(self) -> _Source:
        return self

    async def __anext__(self) -> Outputs:
        if self._ended.is_set():
            error, self._error = self._error, None
            raise error or StopAsyncIteration
        self._next = self._loop.create_future()
        self._ask()
        return await self._next

    async def aclose(self) -> None:
        if not self._ended.is_set():
            self._close()
            await self._ended.wait()

    def _ask(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def _took(self, outputs: Outputs) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(outputs)

    def _over(self, error: Exception | None) -> None:
        self._ended.set()
        self._freed()
        if self._next is not None and not self._next.done():
            # A future takes no StopIteration, and wraps nothing else.
            self._next.set_exception(error or StopAsyncIteration())
        else:
            self._error = error


class PlainSource(_Source):
    """A generator in an instance's thread, which it holds until it ends: :meth:`serve` is the job of that thread."""

    def __init__(self, model: Model, request: Call, post: Post, freed: Callable[[], None]) -> None:
        super().__init__(freed)
        self._model = model
        self._request = request
        self._post = post
        self._asked: SimpleQueue[bool] = SimpleQueue()  # True: the next; False: no more

    def serve(self) -> None:
        """In the thread: until the generator ends or is closed."""
        error: Exception | None = None
        try:
            with contextlib.closing(items(self._model, self._request)) as generator:
                while self._asked.get():
                    outputs = next(generator, None)
                    if outputs is None:
                        break
                    self._post(partial(self._took, outputs))
                    del outputs
        except Exception as raised:
            error = raised
        except BaseException as raised:
            error = Refused(Reason.FAILED, f"predict failed: {type(raised).__name__}: {raised}")
        self._post(partial(self._over, error))

    def _ask(self) -> None:
        self._asked.put(True)

    def _close(self) -> None:
        self._asked.put(False)


class AsyncSource(_Source):
    """An asynchronous generator in the loop of user code. Closing it cancels what it awaits."""

    def __init__(self, model: Model, request: Call, own: OwnLoop, freed: Callable[[], None]) -> None:
        super().__init__(freed)
        self._model = model
        self._request = request
        self._own = own
        self._asked: asyncio.Queue[None] = asyncio.Queue()  # used in the own loop only
        self._task: asyncio.Task[None] | None = None
        own.do(self._begin)

    def _begin(self) -> None:
        self._task = self._own.task(self._serve())
        self._task.add_done_callback(self._served)

    async def _serve(self) -> None:
        async with contextlib.aclosing(items_async(self._model, self._request)) as generator:
            while True:
                await self._asked.get()
                outputs = await anext(generator, None)
                if outputs is None:
                    break
                self._own.post(partial(self._took, outputs))
                del outputs

    def _served(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._own.post(partial(self._over, error if isinstance(error, Exception) else None))

    def _ask(self) -> None:
        self._own.do(lambda: self._asked.put_nowait(None))

    def _close(self) -> None:
        self._own.do(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
