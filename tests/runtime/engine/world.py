"""An event loop whose time is virtual, and an executor that takes as long as it is told."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.batch import whole
from shipway.runtime.server.engine.executor import Description, Done, Stream
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.refusals import Reason
from shipway.runtime.server.settings import Batching, Server

T = TypeVar("T")


class _Leap(selectors.SelectSelector):
    """Waiting is moving the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("all wait for ever")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leap = _Leap()
        super().__init__(self.leap)

    def time(self) -> float:
        return self.leap.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine gives, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class FakeExecutor:
    """Doubles its input. ``seconds`` of a call by its rows; ``fails``: an error for a call, or None."""

    def __init__(
        self,
        instances: int = 1,
        seconds: Callable[[int], float] = lambda rows: 1.0,
        fails: Callable[[Call], Exception | None] = lambda call: None,
    ) -> None:
        self.idle = instances
        self.seconds = seconds
        self.fails = fails
        self.calls: list[Call] = []
        self.given_up = 0
        self.at_once_rows: list[int] = []
        self.wake: Callable[[], None] = lambda: None

    async def start(self) -> Description:
        return Description("fake")

    def on_idle(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def at_once(self, call: Call) -> Answer:
        self.at_once_rows.append(call.rows)
        error = self.fails(call)
        if error is not None:
            raise error
        return Answer({f"{name}2": array * 2 for name, array in call.inputs.items()}, call.rows)

    def run(self, call: Call, done: Done) -> Callable[[], None] | None:
        assert self.idle > 0
        self.idle -= 1
        call = whole(call)
        self.calls.append(call)
        asyncio.get_running_loop().call_later(self.seconds(call.rows), self._end, call, done)
        return self._give_up

    def stream(self, call: Call) -> Stream:
        raise NotImplementedError

    async def stop(self) -> None: ...

    @property
    def rows(self) -> list[int]:
        """Of each call that was begun."""
        return [call.rows for call in self.calls]

    def _end(self, call: Call, done: Done) -> None:
        self.idle += 1
        outputs = {f"{name}2": array * 2 for name, array in call.inputs.items()}
        done(self.fails(call) or Answer(outputs, call.rows, self.seconds(call.rows)))

    def _give_up(self) -> None:
        self.given_up += 1


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.batches: list[int] = []
        self.drops: list[Reason] = []

    def waited(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))

    def computed(self, rows: int, seconds: float) -> None:
        self.batches.append(rows)

    def dropped(self, reason: Reason, seconds: float) -> None:
        self.drops.append(reason)


def scheduler(
    executor: FakeExecutor,
    max_rows: int = 4,
    max_delay: float = 0.0,
    queue: float = 1000.0,
    told: Told | None = None,
    description: Description = Description("fake"),  # noqa: B008 - frozen
) -> Scheduler:
    """For a fake executor; must be called in a loop."""
    settings = Server(batching=Batching(max_rows=max_rows, max_delay=max_delay), queue=queue)
    return Scheduler(executor, description, settings, told, asyncio.get_running_loop().time)


def ask(value: float, rows: int = 1, **more: Any) -> Call:
    """A call whose rows all hold the value."""
    return Call({"x": np.full((rows, 2), value)}, **more)
