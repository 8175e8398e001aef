"""Models in worker processes: as many as there are instances, each started anew when it dies."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import msgspec

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.executor import Description, Done
from shipway.runtime.server.engine.processes.child import Child, Hear, Heard
from shipway.runtime.server.settings import Settings

_LIVED = 10.0  # seconds after which a death is the first one again
_SHORTEST, _LONGEST = 0.1, 10.0


def pause(deaths: int) -> float:
    """Seconds until the next start of a worker that died so often in a row."""
    return min(_SHORTEST * 2.0 ** min(deaths - 1, 16), _LONGEST)


class ProcessExecutor:
    """Runs each call in the worker that has most room, at once: what waits, waits in the scheduler."""

    def __init__(self, settings: Settings, instances: int = 1, restarted: Callable[[], None] = lambda: None) -> None:
        """``restarted`` is called when a worker took the place of one that died."""
        self._restarted = restarted
        self._settings = msgspec.structs.replace(settings, admin_key="")  # no business of user code
        self._instances = instances
        self._children: set[Child] = set()  # those that run, also while they load
        self._keepers: list[asyncio.Task[None]] = []
        self._wake: Callable[[], None] = lambda: None

    async def start(self) -> Description:
        starting = [asyncio.create_task(self._start()) for _ in range(self._instances)]
        try:
            started = await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            await asyncio.wait(starting)
            await self.stop()
            raise
        self._keepers = [asyncio.create_task(self._keep(child)) for child, _ in started]
        return started[0][1]

    @property
    def idle(self) -> int:
        return sum([child.idle for child in self._children])

    def on_idle(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def at_once(self, call: Call) -> Answer:
        raise NotImplementedError("a process has no brief calls")

    def run(self, call: Call, done: Done) -> Callable[[], None] | None:
        child = self._freest()
        number = child.ask(call, cast(Hear, done))  # what is no stream has one answer
        return partial(child.cancel, number)

    def stream(self, call: Call) -> ChildStream:
        return ChildStream(self._freest(), call, lambda: self._wake())

    async def stop(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*[child.stop() for child in self._children])

    def _freest(self) -> Child:
        return max(self._children, key=_room)

    async def _start(self) -> tuple[Child, Description]:
        child = Child()
        child.spawn()
        self._children.add(child)
        child.ended.add_done_callback(lambda _: self._children.discard(child))
        return child, await child.ready(self._settings)

    async def _keep(self, child: Child) -> None:
        """One place among the instances, whoever fills it."""
        deaths = 0
        while True:
            since = time.monotonic()
            await asyncio.wait([child.ended])
            deaths = 1 if time.monotonic() - since > _LIVED else deaths + 1
            child, deaths = await self._another(child.ended.result(), deaths)
            self._wake()

    async def _another(self, how: str, deaths: int) -> tuple[Child, int]:
        """Tries until one has loaded the model."""
        while True:
            print(f"shipway: {how}; the next starts in {pause(deaths):g} s", file=sys.stderr, flush=True)
            await asyncio.sleep(pause(deaths))
            try:
                child, _ = await self._start()
            except Exception as error:  # ours too: a place that nobody keeps is never filled again
                how, deaths = str(error) or repr(error), deaths + 1
            else:
                self._restarted()
                return child, deaths


class ChildStream:
    """The items of one call, from the worker that makes them."""

    def __init__(self, child: Child, call: Call, wake: Callable[[], None]) -> None:
        self._child = child
        self._wake = wake
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()  # one item at most, and the end
        self._taken = False
        self._over = False
        self._ended = asyncio.Event()
        self._number = child.ask(call, self._hear, streams=True)

    def __aiter__(self) -> ChildStream:
        return self

    async def __anext__(self) -> Mapping[str, Array]:
        if self._over:
            raise StopAsyncIteration
        if self._taken:
            self._taken = False
            self._child.go_on(self._number)
        heard = await self._heard.get()
        if isinstance(heard, Mapping):
            self._taken = True
            return heard
        self._over = True
        raise heard if isinstance(heard, Exception) else StopAsyncIteration

    async def aclose(self) -> None:
        self._over = True
        self._child.cancel(self._number)
        await self._ended.wait()

    def _hear(self, heard: Heard) -> None:
        self._heard.put_nowait(heard)
        if not isinstance(heard, Mapping):
            self._ended.set()
            self._wake()


def _room(child: Child) -> int:
    return child.idle
