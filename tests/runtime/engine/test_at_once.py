"""Calls that take less than handing them over: made on the event loop, and only there where that is safe."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.signature import Signature, Tensor
from tests.runtime.engine.world import FakeExecutor, Told, ask, run, scheduler

BRIEF = Description("fake", brief_rows=2)


def test_a_brief_call_is_made_at_once_and_counted() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        brief = scheduler(executor, told=told, description=BRIEF)
        answer = await brief.infer(ask(3.0, rows=2))
        assert answer.outputs["x2"].tolist() == [[6.0, 6.0], [6.0, 6.0]]
        assert (executor.at_once_rows, executor.rows) == ([2], [])
        assert (told.waits, told.batches) == ([0.0], [2])

    run(body())


def test_a_large_one_and_one_beside_another_are_handed_over() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        brief = scheduler(executor, description=BRIEF)
        large = asyncio.ensure_future(brief.infer(ask(1.0, rows=3)))
        await asyncio.sleep(0)
        small = asyncio.ensure_future(brief.infer(ask(2.0)))
        await asyncio.gather(large, small)
        assert (executor.at_once_rows, executor.rows) == ([], [3, 1])

    run(body())


def test_without_rows_nothing_is_brief() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        await scheduler(executor).infer(ask(1.0, rows=0))
        assert (executor.at_once_rows, executor.rows) == ([], [0])

    run(body())


def test_what_it_refuses_is_refused_as_ever() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(fails=lambda call: BadInput("not so")), Told()
        brief = scheduler(executor, told=told, description=BRIEF)
        with pytest.raises(BadInput, match="not so"):
            await brief.infer(ask(1.0))
        with pytest.raises(Refused) as late:
            await brief.infer(ask(1.0, expires=-1.0))
        assert late.value.reason is Reason.EXPIRED and told.drops == [Reason.EXPIRED]
        brief.close()
        with pytest.raises(Refused) as closed:
            await brief.infer(ask(1.0))
        assert closed.value.reason is Reason.UNAVAILABLE
        assert executor.at_once_rows == [1]

    run(body())


def test_a_model_that_turns_slow_is_handed_over_again() -> None:
    threads: list[int] = []
    slow = threading.Event()

    def predict(call: Call) -> Any:
        threads.append(threading.get_ident())
        if slow.is_set():
            time.sleep(0.005)
        return call.inputs["x"]

    async def body() -> None:
        executor = ThreadExecutor(lambda: _model(predict, any_thread=True))
        served = Scheduler(executor, await executor.start())
        here, threads[:] = threading.get_ident(), []
        await served.infer(Call({"x": np.zeros((1, 1))}))
        assert threads == [here]
        slow.set()
        for _ in range(20):
            await served.infer(Call({"x": np.zeros((1, 1))}))
        assert threads[-1] != here and threads.count(here) < 10
        await executor.stop()

    asyncio.run(body())


def test_code_of_the_users_never_runs_on_the_event_loop() -> None:
    async def body() -> int:
        executor = ThreadExecutor(lambda: _model(lambda call: call.inputs["x"], any_thread=False))
        description = await executor.start()
        await executor.stop()
        return description.brief_rows

    assert asyncio.run(body()) == 0


def _model(predict: Any, *, any_thread: bool) -> Model:
    return Model("test", predict, Signature((Tensor("x", "FP64", (-1, 1)),)), any_thread=any_thread)
