"""A world whose hub dies between any two things that it does, at a point that the test chooses."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from shipway.errors import EnvironmentFault
from tests.controllers.world import World


class Killed(BaseException):
    """kill -9: no handler of the hub sees it, and whatever else the hub still tries to do fails in the same way."""


class Inline(ThreadPoolExecutor):
    """Runs what is given to a thread at once: the order of things is the same in every run of a test."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class _Seen:
    """A part of the world as the hub sees it: every call is a point at which the hub may die first."""

    def __init__(self, world: MortalWorld, part: Any) -> None:
        self._world = world
        self._part = part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._world.live()
            if name in self._world.broken:
                raise EnvironmentFault(f"the test does not let {name} work")
            return found(*args, **kwargs)

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await call(*args, **kwargs)

        return call_async if inspect.iscoroutinefunction(found) else call


class MortalWorld(World):
    """``doom(n)``: the hub dies instead of its next call but n, of whatever part. ``revive()``: the next hub."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.broken: set[str] = set()  # names of calls that fail
        self._calls_left: int | None = None

    @property
    def dead(self) -> bool:
        return self._calls_left is not None and self._calls_left < 0

    def doom(self, calls: int) -> None:
        self._calls_left = calls

    def live(self) -> None:
        """Count a call. Raises Killed when it is not made any more."""
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left < 0:
                raise Killed

    def seen_by_hub(self, part: Any) -> Any:
        return _Seen(self, part)

    async def settle(self) -> None:
        for _ in range(4):
            await self.clock.advance(0)
            if self.dead:
                return
            with suppress(Killed):
                await self.queue.idle()

    async def revive(self) -> None:
        """What the kernel does to the memory of a process, and a start that is not doomed."""
        self._calls_left = -1
        task = self._task
        assert task is not None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._metrics.stop()
        await self.queue.stop()
        self._unsubscribe()
        self._calls_left = None
        await self.start()
