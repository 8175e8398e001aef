"""Models in threads of this process: nothing is copied, for engines that release the interpreter's lock."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.executor import Description, Done
from shipway.runtime.server.loading.model import Model, call, call_async
from shipway.runtime.server.refusals import Reason, Refused

_AT_A_TIME = 1024  # calls of an async model


class ThreadExecutor:
    """Runs a model in ``instances`` threads; ``async`` models in an event loop of their own, in one more thread.

    With one instance, the thread that loaded is the thread that predicts: many models are not safe otherwise.
    """

    def __init__(self, load: Callable[[], Model], instances: int = 1) -> None:
        self._load = load
        self._instances = instances
        self._busy = 0
        self._pool = ThreadPoolExecutor(instances, thread_name_prefix="model")
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._model: Model | None = None

    async def start(self) -> Description:
        model = await asyncio.wrap_future(self._pool.submit(self._load))
        if model.is_async:
            self._own_loop = asyncio.new_event_loop()
            threading.Thread(target=self._own_loop.run_forever, name="model-loop", daemon=True).start()
        self._model = await self._warm(model)
        return Description(self._model.format, self._model.signature, concurrent=model.is_async, streams=model.streams)

    @property
    def idle(self) -> int:
        return (_AT_A_TIME if self._own_loop else self._instances) - self._busy

    def on_idle(self, wake: Callable[[], None]) -> None:
        """Threads become idle by ``done`` only."""

    def run(self, call: Call, done: Done) -> None:
        assert self._model is not None, "start() comes first"
        self._busy += 1
        task = asyncio.ensure_future(self._run(self._model, call))

        def finished(task: asyncio.Future[Answer]) -> None:
            self._busy -= 1
            error = task.exception()
            if error is None:
                done(task.result())
            else:
                done(error if isinstance(error, Exception) else Refused(Reason.FAILED, repr(error)))

        task.add_done_callback(finished)

    def stream(self, call: Call) -> AsyncIterator[Mapping[str, Array]]:
        raise Refused(Reason.INVALID, "this model does not stream")

    async def stop(self) -> None:
        if self._own_loop is not None:
            self._own_loop.call_soon_threadsafe(self._own_loop.stop)
        self._pool.shutdown(wait=False)
        self._model = None

    async def _run(self, model: Model, request: Call) -> Answer:
        if self._own_loop is not None:
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(call_async(model, request), self._own_loop)
            )
        return await asyncio.wrap_future(self._pool.submit(call, model, request))

    async def _warm(self, model: Model) -> Model:
        """One call before the first request: lazy imports and caches are paid here, and what cannot predict is
        found before it gets traffic."""
        try:
            inputs = await asyncio.wrap_future(self._pool.submit(model.warmup_inputs))
            if inputs is None:
                print("shipway: no warm-up call: nothing says what a request looks like", file=sys.stderr)
                return model
            answer = await self._run(model, Call(inputs))
        except (Exception, BadInput) as error:
            raise ModelRefused(
                f"the warm-up call failed: {error}; a Predictor may give a better sample in warmup()"
            ) from error
        return model.learned(answer.outputs)
