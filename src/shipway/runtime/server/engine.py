"""Where model code runs: never on the event loop that answers probes.

The seam for batching and for processes of their own: the loop hands over a call and awaits its answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shipway.runtime.server.model import Answer, Model, call, call_async
from shipway.runtime.server.oip import Call

T = TypeVar("T")


class Engine:
    """Runs what belongs to the model: loading, and calls.

    Plain functions run in threads: one by default, as many models are not safe in several, and the thread that
    loaded is the thread that predicts. ``async`` functions run in an event loop of their own, in one more thread.
    """

    def __init__(self, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def do(self, work: Callable[[], T]) -> T:
        """Run ``work`` where plain model code runs."""
        return await asyncio.wrap_future(self._pool.submit(work))

    async def run(self, model: Model, request: Call) -> Answer:
        """One call of the model. Raises BadInput, PredictFailed."""
        if model.is_async:
            future = asyncio.run_coroutine_threadsafe(call_async(model, request), self._own_loop())
            return await asyncio.wrap_future(future)
        return await asyncio.wrap_future(self._pool.submit(call, model, request))

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="model-loop", daemon=True).start()
        return self._loop
