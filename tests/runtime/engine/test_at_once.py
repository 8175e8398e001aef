"""Calls that take less than handing them over: made on the event loop, and only there where that is safe."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.batch import whole
from shipway.runtime.server.engine.brief import Brief, Gathered
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.observer import Silent
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
        await scheduler(executor, description=BRIEF).infer(ask(1.0, rows=0))
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


def _outcomes(results: list[Answer | Exception] | None) -> list[object]:
    assert results is not None
    return [one.outputs["x2"].tolist() if isinstance(one, Answer) else type(one) for one in results]


def test_what_came_together_is_one_call_and_each_gets_its_own() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        brief = scheduler(executor, told=told, description=BRIEF)
        calls = [Gathered(ask(float(number), rows=rows), -0.5) for number, rows in enumerate([1, 2, 1])]
        assert _outcomes(brief.at_once(calls)) == [[[0.0, 0.0]], [[2.0, 2.0]] * 2, [[4.0, 4.0]]]
        assert (executor.at_once_rows, told.batches, told.waits) == ([4], [4], [0.5] * 3)

    run(body())


def test_only_what_is_alike_goes_together_and_not_more_than_a_batch() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        brief = scheduler(executor, description=BRIEF, max_rows=3)
        calls = [
            ask(1.0, rows=2),
            ask(2.0, rows=2),
            ask(3.0),
            Call({"x": np.full((1, 3), 4.0)}),
            ask(5.0),
            ask(6.0, rows=2),
        ]
        results = brief.at_once([Gathered(call, 0.0) for call in calls])
        assert _outcomes(results) == [(call.inputs["x"] * 2).tolist() for call in calls]
        assert executor.at_once_rows == [2, 3, 1, 3]

    run(body())


def test_one_that_the_model_refuses_spoils_no_other() -> None:
    async def body() -> None:
        executor = FakeExecutor(
            fails=lambda call: BadInput("thirteen") if (whole(call).inputs["x"] == 13).any() else None
        )
        brief = scheduler(executor, description=BRIEF)
        results = brief.at_once([Gathered(ask(value), 0.0) for value in (1.0, 13.0, 2.0)])
        assert _outcomes(results) == [[[2.0, 2.0]], BadInput, [[4.0, 4.0]]]
        assert executor.at_once_rows == [3, 1, 1, 1]

    run(body())


def test_an_answer_that_has_not_a_row_for_each_is_asked_for_one_by_one() -> None:
    async def body() -> None:
        brief = scheduler(OneRow(), description=BRIEF)
        assert _outcomes(brief.at_once([Gathered(ask(value), 0.0) for value in (1.0, 2.0)])) == [[[1.0]], [[2.0]]]

    run(body())


def test_who_is_late_is_refused_alone() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        brief = scheduler(executor, told=told, description=BRIEF)
        results = brief.at_once([Gathered(ask(1.0, expires=-1.0), 0.0), Gathered(ask(2.0), 0.0)])
        assert _outcomes(results) == [Refused, [[4.0, 4.0]]]
        assert (told.drops, executor.at_once_rows) == ([Reason.EXPIRED], [1])

    run(body())


def test_while_the_model_runs_elsewhere_nothing_is_made_at_once() -> None:
    async def body() -> None:
        brief = scheduler(FakeExecutor(), description=BRIEF)
        large = asyncio.ensure_future(brief.infer(ask(1.0, rows=3)))
        await asyncio.sleep(0)
        assert not brief.is_brief(ask(2.0))
        assert brief.at_once([Gathered(ask(2.0), 0.0)]) is None
        await large
        assert brief.is_brief(ask(2.0)) and not brief.is_brief(ask(2.0, rows=3))

    run(body())


class OneRow(FakeExecutor):
    """Answers with the first row, whatever it is given."""

    def at_once(self, call: Call) -> Answer:
        return Answer({"x2": whole(call).inputs["x"][:1, :1]}, 1)


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


def test_one_that_is_slow_to_refuse_is_handed_over_too() -> None:
    class Slow(FakeExecutor):
        now = 0.0

        def at_once(self, call: Call) -> Answer:
            self.now += 0.1
            raise BadInput("no")

    executor = Slow()
    brief = Brief(executor, 2, 4, Silent(), lambda: executor.now)
    outcome = brief.answers([Gathered(ask(1.0), 0.0)])
    assert isinstance(outcome[0], BadInput)
    assert (brief.rows, brief.offered) == (0, 0.1)


def test_an_error_that_nobody_meant_is_told_to_whom_it_concerns(capsys: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        odd = ZeroDivisionError("ours")
        executor = FakeExecutor(fails=lambda call: odd if (whole(call).inputs["x"] == 13).any() else None)
        brief = scheduler(executor, description=BRIEF)
        results = brief.at_once([Gathered(ask(value), 0.0) for value in (1.0, 13.0, 2.0)])
        assert _outcomes(results) == [[[2.0, 2.0]], Refused, [[4.0, 4.0]]]

    run(body())
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


def test_text_wanted_outputs_and_parameters_go_only_with_their_like() -> None:
    class Named(FakeExecutor):
        def at_once(self, call: Call) -> Answer:
            self.at_once_rows.append(call.rows)
            call = whole(call)
            outputs = {"y": call.inputs["x"] * int(call.parameters.get("times", 1)), "z": call.inputs["x"]}
            return Answer({name: outputs[name] for name in call.wanted or outputs}, call.rows)

    async def body() -> None:
        executor = Named()
        texts = [np.array([text], object) for text in ("a", "b", b"\xff", "d")]
        big = np.array([7], ">i4")
        calls = [
            Call({"x": texts[0]}),
            Call({"x": texts[1]}),
            Call({"x": texts[2]}, ("z",)),
            Call({"x": texts[3]}, ("z",), {"times": 2}),
            Call({"x": big}),
            Call({"x": big.astype("<i4")}),
            Call({"x": big.astype("<i4")}, (), {"times": 1}),
            Call({"x": big.astype("<i4")}, (), {"times": True}),
        ]
        results = scheduler(executor, description=BRIEF).at_once([Gathered(call, 0.0) for call in calls])
        assert results is not None
        told = [{name: array.tolist() for name, array in one.outputs.items()} for one in results]  # type: ignore[union-attr]
        assert told[:4] == [{"y": ["a"], "z": ["a"]}, {"y": ["b"], "z": ["b"]}, {"z": [b"\xff"]}, {"z": ["d"]}]
        assert told[4:] == [{"y": [7], "z": [7]}] * 4
        assert executor.at_once_rows == [2, 1, 1, 1, 1, 1, 1]

    run(body())


def test_code_of_the_users_never_runs_on_the_event_loop() -> None:
    async def body() -> int:
        executor = ThreadExecutor(lambda: _model(lambda call: call.inputs["x"], any_thread=False))
        description = await executor.start()
        await executor.stop()
        return description.brief_rows

    assert asyncio.run(body()) == 0


def _model(predict: Any, *, any_thread: bool) -> Model:
    return Model("test", predict, Signature((Tensor("x", "FP64", (-1, 1)),)), any_thread=any_thread)
