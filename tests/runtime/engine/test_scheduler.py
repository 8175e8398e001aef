"""What the scheduler does with requests, in virtual time: a call of the fake model takes one second."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.executor import Description, Done
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.signature import Signature, Tensor
from tests.runtime.engine.world import FakeExecutor, Told, VirtualLoop, ask, run, scheduler


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _outcome(asking: Awaitable[Answer]) -> tuple[float, object]:
    """When it was answered, and with what: the first value, or the reason of the refusal."""
    try:
        answer = await asking
    except Refused as refused:
        return round(_now(), 3), refused.reason
    except BadInput:
        return round(_now(), 3), BadInput
    values = np.unique(answer.outputs["x2"])
    assert len(values) == 1, "rows of somebody else"
    return round(_now(), 3), float(values[0])


async def _outcomes(served: Scheduler, *calls: Call) -> list[tuple[float, object]]:
    return await asyncio.gather(*(_outcome(served.infer(call)) for call in calls))


async def _behind(served: Scheduler, first: Call, *others: Call) -> list[tuple[float, object]]:
    """The others come when the first one runs."""
    running = asyncio.ensure_future(_outcome(served.infer(first)))
    await asyncio.sleep(0.0)
    await asyncio.sleep(0.0)
    behind = await _outcomes(served, *others)
    return [await running, *behind]


def test_an_idle_instance_is_not_waited_for() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        call = ask(1)
        assert await _outcomes(scheduler(executor), call) == [(1.0, 2.0)]
        assert executor.calls[0] is call, "as it is: nothing is copied"

    run(body())


def test_what_comes_while_all_are_busy_goes_together() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        served = scheduler(executor, told=told)
        outcomes = await _behind(served, *(ask(value) for value in range(6)))
        assert outcomes == [(1.0, 0.0), *((2.0, value * 2.0) for value in range(1, 5)), (3.0, 10.0)]
        assert executor.rows == [1, 4, 1]
        assert (told.waits, told.batches) == ([0, 1, 1, 1, 1, 2], [1, 4, 1])

    run(body())


def test_what_comes_in_one_turn_of_the_loop_goes_together_and_to_all_who_are_idle() -> None:
    async def body() -> None:
        for instances, rows in ((1, [4, 3]), (2, [4, 3]), (3, [3, 2, 2]), (9, [1] * 7)):
            executor = FakeExecutor(instances)
            outcomes = await _outcomes(scheduler(executor), *(ask(value) for value in range(7)))
            assert [what for _, what in outcomes] == [value * 2.0 for value in range(7)]
            assert executor.rows == rows

    run(body())


@pytest.mark.parametrize("how", ["cancelled", "closed", "expired", "all gone"])
def test_who_goes_before_the_end_of_the_turn_is_answered_once_and_not_computed(how: str) -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        served = scheduler(executor, told=told)
        expires = 0.5 if how == "expired" else math.inf
        tasks = [asyncio.ensure_future(_outcome(served.infer(ask(value, expires=expires)))) for value in range(2)]
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        def meanwhile() -> None:
            assert served.load.rows == 2, "they wait for the end of the turn"
            match how:
                case "cancelled":
                    tasks[0].cancel()
                case "all gone":
                    tasks[0].cancel()
                    tasks[1].cancel()
                case "closed":
                    served.close()
                case "expired":
                    loop.leap.now = 0.75

        loop.call_soon(meanwhile)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        what = [one[1] if isinstance(one, tuple) else type(one) for one in found]
        gone = asyncio.CancelledError
        expected: dict[str, tuple[list[object], list[int]]] = {
            "cancelled": ([gone, 2.0], [1]),
            "all gone": ([gone, gone], []),
            "closed": ([Reason.UNAVAILABLE] * 2, []),
            "expired": ([Reason.EXPIRED] * 2, []),
        }
        assert (what, executor.rows) == expected[how]
        assert (served.pending, served.load.rows) == (0, 0)
        if how != "closed":
            assert await _outcome(served.infer(ask(5))) == (_now(), 10.0), "the next turn is one like any other"

    run(body())


def test_what_was_released_goes_to_all_who_are_idle() -> None:
    """A full batch is enough: its halves are not held anew because each is less than that."""

    async def body() -> None:
        executor = FakeExecutor(2, seconds=lambda rows: 0.1)
        served = scheduler(executor, max_rows=8, max_delay=10.0)
        for _ in range(40):
            await asyncio.gather(*(served.infer(ask(1)) for _ in range(24)))
            await asyncio.sleep(0.01)
        started = _now()
        outcomes = await _outcomes(served, *(ask(value) for value in range(8)))
        assert executor.rows[-2:] == [4, 4]
        assert [moment for moment, _ in outcomes] == [round(started + 0.1, 3)] * 8

    run(body())


def test_callers_that_ask_again_at_once_stay_together() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        served = scheduler(executor)

        async def caller(value: float) -> None:
            for _ in range(4):
                assert (await served.infer(ask(value))).outputs["x2"][0, 0] == value * 2

        await asyncio.gather(*map(caller, range(4)))
        assert executor.rows == [4, 4, 4, 4]

    run(body())


def test_rows_count_and_not_requests() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        await _behind(scheduler(executor), ask(0), ask(1, 3), ask(2, 2), ask(3, 2))
        assert executor.rows == [1, 3, 4]

    run(body())


def test_kinds_do_not_mix() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        calls = [ask(0), ask(1), ask(2, parameters={"top": 1}), ask(3), ask(4, parameters={"top": 1})]
        outcomes = await _behind(scheduler(executor), *calls)
        assert [moment for moment, _ in outcomes] == [1, 2, 3, 2, 3]

    run(body())


def test_a_large_request_is_cut_and_joined_again() -> None:
    async def body() -> None:
        executor = FakeExecutor(instances=2)
        served = scheduler(executor)
        x = np.arange(20.0).reshape(10, 2)
        answer = await served.infer(Call({"x": x}))
        assert np.array_equal(answer.outputs["x2"], x * 2)
        assert (answer.rows, executor.rows, _now()) == (10, [4, 4, 2], 2.0)

    run(body())


def test_a_large_request_with_poison_fails_once_and_leaves() -> None:
    async def body() -> None:
        executor = FakeExecutor(fails=lambda call: BadInput("no") if (call.inputs["x"] < 0).any() else None)
        served = scheduler(executor)
        assert await _outcomes(served, ask(-1, 100)) == [(1.0, BadInput)]
        assert (executor.rows, served.pending) == ([4], 0)

    run(body())


def test_without_batching_calls_go_whole_and_alone() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        await _outcomes(scheduler(executor, max_rows=1), ask(1, 100), ask(2), ask(3))
        assert executor.rows == [100, 1, 1]
        executor = FakeExecutor()
        fixed = Description("fake", Signature((Tensor("x", "FP64", (1, 2)),)))
        await _outcomes(scheduler(executor, description=fixed), ask(1), ask(2), ask(3))
        assert executor.rows == [1, 1, 1]

    run(body())


def test_no_rows_and_scalars_go_alone() -> None:
    async def body() -> None:
        executor = FakeExecutor()
        served = scheduler(executor)
        scalar = Call({"x": np.array(3.0)})
        answers = await asyncio.gather(*map(served.infer, [ask(0), ask(1, 0), scalar, ask(2, 0), ask(3), ask(4)]))
        assert [answer.outputs["x2"].shape for answer in answers] == [(1, 2), (0, 2), (), (0, 2), (1, 2), (1, 2)]
        assert answers[2].outputs["x2"] == 6
        assert sorted(call.inputs["x"].shape for call in executor.calls) == [(), (0, 2), (0, 2), (1, 2), (2, 2)]

    run(body())


def test_the_nearest_deadline_goes_first() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), max_rows=1)
        calls = [ask(0), ask(1), ask(2, expires=50.0), ask(3, expires=20.0)]
        assert [moment for moment, _ in await _outcomes(served, *calls)] == [1, 4, 3, 2]

    run(body())


def test_what_waits_is_answered_at_its_deadline_and_not_computed() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        served = scheduler(executor, told=told)
        outcomes = await _behind(served, ask(0), ask(1, expires=0.4), ask(2))
        assert outcomes == [(1.0, 0.0), (0.4, Reason.EXPIRED), (2.0, 4.0)]
        assert executor.rows == [1, 1]
        assert told.drops == [Reason.EXPIRED]
        assert await _outcomes(served, ask(1, expires=1.5)) == [(2.0, Reason.EXPIRED)]

    run(body())


@pytest.mark.parametrize("by", ["deadline", "cancellation"])
def test_a_place_is_free_when_the_work_has_ended(by: str) -> None:
    async def body() -> None:
        executor = FakeExecutor()
        served = scheduler(executor)
        first = asyncio.ensure_future(_outcome(served.infer(ask(0, expires=0.5 if by == "deadline" else math.inf))))
        await asyncio.sleep(0.5)
        if by == "cancellation":
            first.cancel()
        second = asyncio.ensure_future(_outcome(served.infer(ask(1))))
        await asyncio.wait([first])
        assert (_now(), served.pending, executor.given_up) == (0.5, 2, 1)
        assert await second == (2.0, 2.0)
        if by == "deadline":
            assert first.result() == (0.5, Reason.EXPIRED)

    run(body())


def test_who_goes_leaves_the_queue_at_once() -> None:
    async def body() -> None:
        executor, told = FakeExecutor(), Told()
        served = scheduler(executor, told=told)
        tasks = [asyncio.ensure_future(served.infer(ask(value, 3))) for value in range(3)]
        await asyncio.sleep(0.1)
        assert served.load.rows == 6
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        assert served.load.rows == 3
        await asyncio.gather(tasks[0], tasks[2])
        assert [call.inputs["x"][0, 0] for call in executor.calls] == [0, 2]
        assert told.drops == [Reason.CANCELLED]
        assert served.load.pending == 0

    run(body())


@pytest.mark.parametrize("error", [BadInput("no"), Refused(Reason.FAILED, "broken")])
def test_one_poisoned_request_spoils_nobody(error: Exception) -> None:
    async def body() -> None:
        executor = FakeExecutor(fails=lambda call: error if (call.inputs["x"] == 7).any() else None)
        served = scheduler(executor, max_rows=64)
        outcomes = await _behind(served, *(ask(value) for value in range(17)))
        expected = BadInput if isinstance(error, BadInput) else Reason.FAILED
        assert [what for _, what in outcomes] == [expected if value == 7 else value * 2.0 for value in range(17)]
        assert executor.rows == [1, 16, 8, 8, 4, 4, 2, 2, 1, 1]
        assert served.pending == 0

    run(body())


def test_what_a_dead_worker_had_is_not_tried_again() -> None:
    async def body() -> None:
        dead = Refused(Reason.UNAVAILABLE, "the worker died", retry_after=1.0)
        executor = FakeExecutor(fails=lambda call: dead if call.rows == 3 else None)
        outcomes = await _behind(scheduler(executor), *(ask(value) for value in range(4)))
        assert outcomes == [(1.0, 0.0), *[(2.0, Reason.UNAVAILABLE)] * 3]
        assert executor.rows == [1, 3]

    run(body())


def test_too_few_rows_in_an_output_are_nobodys_answer() -> None:
    class Loses(FakeExecutor):
        def _end(self, call: Call, done: Done) -> None:
            self.idle += 1
            done(Answer({"x2": call.inputs["x"][: max(1, call.rows - 1)] * 2}, call.rows))

    async def body() -> None:
        executor = Loses()
        outcomes = await _behind(scheduler(executor), *(ask(value) for value in range(3)))
        assert [what for _, what in outcomes] == [0.0, 2.0, 4.0]
        assert executor.rows == [1, 2, 1, 1]

    run(body())


def test_too_much_work_is_refused_with_the_time_to_come_back() -> None:
    async def body() -> None:
        told = Told()
        served = scheduler(FakeExecutor(), max_rows=1, queue=3.0, told=told)
        await served.infer(ask(0))
        tasks = [asyncio.ensure_future(served.infer(ask(value))) for value in range(6)]
        await asyncio.sleep(0)
        # One runs, three wait three seconds at most; the fifth would wait four.
        with pytest.raises(Refused, match="it would wait 4 s, and may wait 3 s") as refused:
            await tasks[4]
        assert (refused.value.reason, refused.value.retry_after) == (Reason.OVERLOADED, 1.0)
        with pytest.raises(Refused):
            await tasks[5]
        assert len(await asyncio.gather(*tasks[:4])) == 4
        assert told.drops == [Reason.OVERLOADED] * 2
        assert served.load.offered == pytest.approx(1 + 4 + 2)

    run(body())


def test_a_deadline_that_cannot_be_kept_is_refused_at_once() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), max_rows=1)
        await served.infer(ask(0))
        tasks = [asyncio.ensure_future(served.infer(ask(value))) for value in range(3)]
        await asyncio.sleep(0.5)
        # The one that runs takes half a second more, and then this call goes first: answered at 3.0.
        assert await _outcomes(served, ask(7, expires=2.9), ask(8, expires=3.1)) == [
            (1.5, Reason.OVERLOADED),
            (3.0, 16.0),
        ]
        await asyncio.gather(*tasks)

    run(body())


def test_a_call_that_goes_whole_costs_one_call_however_many_rows_it_has() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), max_rows=1, queue=3.0)
        await served.infer(ask(0, rows=100))
        outcomes = await _outcomes(served, *(ask(value, rows=100) for value in range(4)))
        assert [moment for moment, _ in outcomes] == [2, 3, 4, 5]

    run(body())


def test_who_goes_with_others_is_not_thought_to_wait_for_them() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), queue=0.5)
        await served.infer(ask(0))
        # All go together, at once: neither the second's deadline breaks, nor does the third wait for more than `queue`.
        calls = ask(1, expires=2.4), ask(2, expires=2.5), ask(3)
        assert await _outcomes(served, *calls) == [(2.0, 2.0), (2.0, 4.0), (2.0, 6.0)]

    run(body())


def test_an_unknown_model_has_a_bound_too() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(seconds=lambda rows: 100.0), max_rows=1)
        tasks = [asyncio.ensure_future(served.infer(ask(1))) for _ in range(1027)]
        await asyncio.sleep(1)
        refused = [task for task in tasks if task.done()]
        assert len(refused) == 2
        for task in refused:
            with pytest.raises(Refused, match="1024 requests wait already"):
                task.result()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert served.load.rows == 0

    run(body())


def test_rows_are_held_when_that_raises_the_throughput() -> None:
    """Callers 10 ms away: never held, they come in batches of 1 and 7 for ever."""

    async def rounds(max_delay: float) -> tuple[float, list[int]]:
        executor = FakeExecutor()
        served = scheduler(executor, max_rows=64, max_delay=max_delay)

        async def caller(away: float) -> None:
            for _ in range(10):
                await served.infer(ask(1))
                await asyncio.sleep(away)

        await asyncio.gather(*(caller(0.01 + number / 1000) for number in range(8)))
        return _now(), executor.rows

    never, alternating = run(rounds(0.0))
    held, together = run(rounds(0.5))
    assert alternating.count(1) >= 9
    assert alternating.count(7) >= 9
    assert together.count(8) >= 8
    assert held < never * 0.65


def test_one_caller_is_never_held() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), max_rows=64, max_delay=10.0)
        for _ in range(20):
            await served.infer(ask(1))
            await asyncio.sleep(0.01)
        assert _now() == pytest.approx(20.2)

    run(body())


def test_one_caller_is_never_held_whatever_it_sends() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor(), max_rows=64, max_delay=10.0)
        for number in range(40):
            await served.infer(ask(1, rows=(1, 8)[number % 2]))
        assert _now() == pytest.approx(40)

    run(body())


def test_who_left_with_a_failed_batch_or_at_a_late_deadline_is_not_waited_for() -> None:
    async def body() -> None:
        executor = FakeExecutor(fails=lambda call: BadInput("no") if call.rows > 1 else None)
        served = scheduler(executor, max_rows=64, max_delay=0.5)
        tasks = [asyncio.ensure_future(_outcome(served.infer(ask(value)))) for value in range(4)]
        await asyncio.sleep(1.5)
        for task in tasks[2:]:
            task.cancel()
        await asyncio.wait(tasks)
        asking = asyncio.ensure_future(_outcome(served.infer(ask(1, expires=_now() + 0.5))))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_soon(lambda: setattr(loop.leap, "now", loop.leap.now + 1.0))
        assert (await asking)[1] is Reason.EXPIRED
        assert served._flows is not None
        (flow,) = served._flows._flows.values()
        assert (flow.rows.around, flow.rows.running, flow.parts.around, flow.parts.running) == (0, 0, 0, 0)

    run(body())


def test_the_end_refuses_what_waits_and_what_comes() -> None:
    async def body() -> None:
        served = scheduler(FakeExecutor())
        tasks = asyncio.ensure_future(_behind(served, *(ask(value) for value in range(3))))
        await asyncio.sleep(0.5)
        served.close()
        assert await tasks == [(1.0, 0.0), *[(0.5, Reason.UNAVAILABLE)] * 2]
        assert await _outcomes(served, ask(1)) == [(1.0, Reason.UNAVAILABLE)]

    run(body())


def test_an_instance_that_comes_back_takes_what_waits() -> None:
    async def body() -> None:
        executor = FakeExecutor(instances=0)
        served = scheduler(executor)
        task = asyncio.ensure_future(_outcome(served.infer(ask(1))))
        await asyncio.sleep(5)
        executor.idle = 1
        executor.wake()
        assert await task == (6.0, 2.0)

    run(body())


def test_an_error_of_ours_is_told_to_all_who_wait(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(FakeExecutor):
        def run(self, call: Call, done: Done) -> None:
            if len(self.calls) == 1:
                self.calls.append(call)
                raise ZeroDivisionError("ours")
            super().run(call, done)

    async def body() -> None:
        served = scheduler(Broken())
        outcomes = await _behind(served, *(ask(value) for value in range(3)))
        assert outcomes == [(1.0, 0.0), *[(1.0, Reason.FAILED)] * 2]
        assert await _outcomes(served, ask(5)) == [(2.0, 10.0)]
        assert served.pending == 0

    run(body())
    assert "ZeroDivisionError: ours" in capsys.readouterr().err


def test_an_answer_that_is_none_is_told_to_all_who_wait(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd(FakeExecutor):
        def _end(self, call: Call, done: Done) -> None:
            self.idle += 1
            done(Answer({"x2": 3 if call.rows > 1 else call.inputs["x"] * 2}))  # type: ignore[dict-item]

    async def body() -> None:
        served = scheduler(Odd())
        outcomes = await _behind(served, ask(0), ask(1), ask(2))
        assert outcomes == [(1.0, 0.0), *[(2.0, Reason.FAILED)] * 2]
        assert await _outcomes(served, ask(3)) == [(3.0, 6.0)]

    run(body())
    assert "Traceback" in capsys.readouterr().err
