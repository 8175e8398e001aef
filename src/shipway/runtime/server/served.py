"""One version of one model that is loaded and takes calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.engine.brief import Gathered
from shipway.runtime.server.engine.executor import Description, Executor
from shipway.runtime.server.engine.scheduler import Load, Scheduler
from shipway.runtime.server.observe.metrics import ModelMetrics
from shipway.runtime.server.settings import Server
from shipway.runtime.signature import Signature

_DEFAULT = Server()


class ServedModel:
    """What the repository hands out, and both protocols call.

    Whoever got it from :meth:`Repository.acquire` calls :meth:`release` when its request is answered: a version that is
    replaced ends when nobody holds it any more.
    """

    def __init__(
        self,
        name: str,
        version: str,
        executor: Executor,
        description: Description,
        metrics: ModelMetrics,
        settings: Server = _DEFAULT,
    ) -> None:
        self.name = name
        self.version = version
        self.description = description
        self.door = Door(description.signature)
        self.metrics = metrics
        self._executor = executor
        self._scheduler = Scheduler(executor, description, settings, metrics)
        self.size = 0  # bytes that it takes, as far as known
        self.used = 0  # when it was used last, as a count that grows
        self._held = 0
        self._free = asyncio.Event()
        self._free.set()

    @property
    def signature(self) -> Signature:
        """What requests are checked against."""
        return self.description.signature

    @property
    def held(self) -> bool:
        """Whether any request uses it now."""
        return self._held > 0

    def hold(self) -> ServedModel:
        """One more request uses it."""
        self._held += 1
        self._free.clear()
        return self

    def release(self) -> None:
        """The inverse of :meth:`hold`."""
        self._held -= 1
        if not self._held:
            self._free.set()

    def is_brief(self, call: Call) -> bool:
        """Whether the model answers it in less time than it takes to wait for it, by :meth:`at_once`."""
        return self._scheduler.is_brief(call)

    def at_once(self, calls: Sequence[Gathered]) -> list[Answer | Exception] | None:
        """Of each the answer, BadInput or Refused; None where they are not brief any more: ask :meth:`infer`."""
        return self._scheduler.at_once(calls)

    async def infer(self, call: Call) -> Answer:
        """The answer. Raises BadInput, Refused. To cancel it is to take the call back."""
        return await self._scheduler.infer(call)

    def stream(self, call: Call) -> AsyncGenerator[Mapping[str, Array], None]:
        """The outputs, one after another. Raises BadInput, Refused. Close it (``aclose``) when the caller is gone."""
        return self._scheduler.stream(call)

    def load(self) -> Load:
        """What there is to do now."""
        return self._scheduler.load

    async def stop(self) -> None:
        """Return when nobody holds it and what it had started has ended."""
        await self._free.wait()
        self._scheduler.close()
        await self._executor.stop()
        self.metrics.closed(self.load)
