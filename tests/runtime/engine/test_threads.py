"""Models in threads: which thread, what comes back, streams, cancellation, and user code that hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine import scheduler
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.refusals import Reason, Refused

CALL = Call({"x": np.arange(3.0)})


async def _scheduler(executor: ThreadExecutor) -> Scheduler:
    return Scheduler(executor, await executor.start())


async def _until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


def test_the_thread_that_loads_is_the_thread_that_predicts() -> None:
    seen: list[int] = []

    def load() -> Model:
        seen.append(threading.get_ident())
        return Model("test", predict, sample=lambda: [1.0])

    def predict(call: Call) -> Any:
        seen.append(threading.get_ident())
        return call.inputs["x"] if "x" in call.inputs else call.inputs["input"]

    async def body() -> None:
        executor = ThreadExecutor(load)
        served = await _scheduler(executor)
        assert (await served.infer(CALL)).outputs["output"].tolist() == [0.0, 1.0, 2.0]
        await executor.stop()

    asyncio.run(body())
    assert len(seen) == 3
    assert set(seen) == {seen[0]}
    assert seen[0] != threading.get_ident()


def test_as_many_calls_run_as_there_are_instances() -> None:
    together = threading.Barrier(3)

    def predict(call: Call) -> Any:
        together.wait(timeout=20)
        return call.inputs["x"]

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict), 3)
        await executor.start()
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(3)]
        for left, future in zip((2, 1, 0), futures, strict=True):
            executor.run(CALL, future.set_result)
            assert executor.idle == left
        assert all(isinstance(answer, Answer) for answer in await asyncio.gather(*futures))
        assert executor.idle == 3
        await executor.stop()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (BadInput("no rows"), BadInput, "no rows"),
        (ValueError("oh"), Refused, "predict failed: ValueError: oh"),
        (SystemExit(3), Refused, "predict failed: SystemExit: 3"),
        (KeyboardInterrupt(), Refused, "predict failed: KeyboardInterrupt"),
    ],
)
@pytest.mark.parametrize("coroutine", [False, True])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_errors_come_back_and_the_thread_lives(
    raised: BaseException, expected: type[Exception], words: str, coroutine: bool
) -> None:
    def predict(call: Call) -> Any:
        if call.inputs["x"][0] < 0:
            raise raised
        return call.inputs["x"]

    async def predict_async(call: Call) -> Any:
        return predict(call)

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict_async if coroutine else predict, is_async=coroutine))
        served = await _scheduler(executor)
        with pytest.raises(expected, match=words):
            await served.infer(Call({"x": np.array([-1.0])}))
        assert (await served.infer(CALL)).rows == 3
        await executor.stop()

    asyncio.run(body())


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_model_that_cannot_warm_up_is_refused(coroutine: bool) -> None:
    def predict(call: Call) -> Any:
        raise BadInput("not this")

    async def predict_async(call: Call) -> Any:
        raise BadInput("not this")

    async def body() -> None:
        function = predict_async if coroutine else predict
        with pytest.raises(ModelRefused, match="warm-up call failed: not this; a Predictor may give a better sample"):
            await ThreadExecutor(lambda: Model("t", function, sample=lambda: [1.0], is_async=coroutine)).start()

    asyncio.run(body())


def test_a_sample_that_ends_an_iteration_is_refused_and_not_waited_for() -> None:
    async def body() -> None:
        with pytest.raises(ModelRefused, match="the warm-up call failed: StopIteration: it is empty"):
            await ThreadExecutor(lambda: Model("test", lambda call: call.inputs, sample=_empty)).start()

    asyncio.run(asyncio.wait_for(body(), 20))


def _empty() -> Any:
    raise StopIteration("it is empty")


def test_what_load_raises_comes_out_of_start() -> None:
    def load() -> Model:
        raise ModelRefused("no file")

    with pytest.raises(ModelRefused, match="no file"):
        asyncio.run(ThreadExecutor(load).start())


def test_cancelling_reaches_the_coroutine_and_frees_the_place_at_its_end() -> None:
    began, ended = threading.Event(), threading.Event()

    async def predict(call: Call) -> Any:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict, is_async=True))
        served = await _scheduler(executor)
        places = executor.idle
        task = asyncio.ensure_future(served.infer(CALL))
        await _until(began.is_set)
        task.cancel()
        await asyncio.wait([task])
        await _until(ended.is_set)
        await _until(lambda: executor.idle == places)
        assert served.pending == 0
        for _ in range(3):  # also before the coroutine has begun
            early = asyncio.ensure_future(served.infer(CALL))
            await asyncio.sleep(0)
            early.cancel()
        await _until(lambda: executor.idle == places)
        await executor.stop()

    asyncio.run(body())


def test_stop_does_not_wait_for_user_code_that_hangs() -> None:
    release = threading.Event()

    def predict(call: Call) -> Any:
        release.wait(60)
        return call.inputs["x"]

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict))
        await executor.start()
        executor.run(CALL, lambda result: None)
        await executor.stop()
        release.set()

    asyncio.run(body())


class _Counts:
    """A generator's life, as it was seen."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = threading.Event()

    def predict(self, call: Call) -> Iterator[Any]:
        try:
            for number in range(int(call.inputs["x"][0])):
                self.made += 1
                yield {"n": np.array([number])}
            if call.inputs["x"][0] == 3:
                raise BadInput("three")
        finally:
            self.closed.set()

    async def predict_async(self, call: Call) -> AsyncIterator[Any]:
        try:
            for number in range(int(call.inputs["x"][0])):
                self.made += 1
                yield {"n": np.array([number])}
                await asyncio.sleep(0)
            if call.inputs["x"][0] == 3:
                raise BadInput("three")
        finally:
            self.closed.set()


def _streaming(coroutine: bool) -> tuple[ThreadExecutor, _Counts]:
    counts = _Counts()
    function = counts.predict_async if coroutine else counts.predict
    return ThreadExecutor(lambda: Model("test", function, is_async=coroutine, streams=True)), counts


def _asking(count: int) -> Call:
    return Call({"x": np.array([count])})


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_stream_gives_all_outputs_and_its_place_back(coroutine: bool) -> None:
    async def body() -> None:
        executor, _ = _streaming(coroutine)
        served = await _scheduler(executor)
        places = executor.idle
        for count in (5, 0, 2):
            got = [int(outputs["n"][0]) async for outputs in served.stream(_asking(count))]
            assert got == list(range(count))
            assert (executor.idle, served.pending) == (places, 0)
        with pytest.raises(BadInput, match="three"):
            [_ async for _ in served.stream(_asking(3))]
        assert (executor.idle, served.pending) == (places, 0)
        with pytest.raises(Refused, match="ask for one"):
            await served.infer(_asking(1))
        await executor.stop()

    asyncio.run(body())


@pytest.mark.parametrize("coroutine", [False, True])
def test_the_next_output_is_made_when_the_last_was_taken(coroutine: bool) -> None:
    async def body() -> None:
        executor, counts = _streaming(coroutine)
        served = await _scheduler(executor)
        stream = served.stream(_asking(1000))
        for number in range(1, 4):
            await anext(stream)
            await asyncio.sleep(0.01)
            assert counts.made == number
        assert not counts.closed.is_set()
        await stream.aclose()
        assert counts.closed.is_set()
        assert served.pending == 0
        await executor.stop()

    asyncio.run(body())


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_stream_whose_caller_goes_is_closed(coroutine: bool) -> None:
    async def body() -> None:
        executor, counts = _streaming(coroutine)
        served = await _scheduler(executor)
        places = executor.idle

        async def read() -> None:
            async for _ in served.stream(_asking(10**9)):
                pass

        task = asyncio.ensure_future(read())
        await _until(lambda: counts.made > 3)
        task.cancel()
        await asyncio.wait([task])
        await _until(counts.closed.is_set)
        await _until(lambda: executor.idle == places)
        await _until(lambda: served.pending == 0)
        await executor.stop()

    asyncio.run(body())


def test_a_stream_that_hangs_holds_its_place_and_not_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_STREAM_ENDS", 0.05)

    async def body() -> None:
        goes_on = threading.Event()

        def predict(call: Call) -> Iterator[Any]:
            yield {"n": call.inputs["x"]}
            goes_on.wait()

        executor = ThreadExecutor(lambda: Model("test", predict, streams=True))
        served = await _scheduler(executor)
        stream = served.stream(_asking(1))
        await anext(stream)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.01)
        reading.cancel()
        await asyncio.wait_for(asyncio.wait([reading]), 20)
        assert (executor.idle, served.pending) == (0, 1)
        goes_on.set()
        await _until(lambda: executor.idle == 1 and served.pending == 0)
        await executor.stop()

    asyncio.run(body())


def test_streams_wait_for_a_place_too() -> None:
    async def body() -> None:
        executor, _ = _streaming(False)
        served = await _scheduler(executor)
        first = served.stream(_asking(5))
        await anext(first)
        second = asyncio.ensure_future(anext(served.stream(_asking(1))))
        third = asyncio.ensure_future(anext(served.stream(_asking(1))))
        await asyncio.sleep(0.01)
        assert (second.done(), executor.idle, served.pending) == (False, 0, 3)
        third.cancel()
        await asyncio.wait([third])
        assert served.pending == 2
        await first.aclose()
        assert int((await second)["n"][0]) == 0
        await executor.stop()

    asyncio.run(body())


def test_a_caller_that_goes_as_its_stream_begins_leaves_no_place_taken() -> None:
    async def body() -> None:
        executor, _ = _streaming(False)
        served = await _scheduler(executor)
        for turns in range(4):
            task = asyncio.ensure_future(anext(served.stream(_asking(5))))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await _until(lambda: executor.idle == 1 and served.pending == 0)
        await executor.stop()

    asyncio.run(body())


def test_an_async_model_has_its_own_loop_and_many_calls_at_a_time() -> None:
    loops: set[int] = set()

    async def predict(call: Call) -> Any:
        loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.01)
        return call.inputs["x"]

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict, is_async=True))
        served = await _scheduler(executor)
        answers = await asyncio.gather(*(served.infer(_asking(number)) for number in range(200)))
        assert [int(answer.outputs["output"][0]) for answer in answers] == list(range(200))
        assert loops != {id(asyncio.get_running_loop())}
        await executor.stop()

    asyncio.run(body())
    assert len(loops) == 1


def test_what_an_async_model_awaits_may_be_cancelled_by_others() -> None:
    async def predict(call: Call) -> Any:
        raise asyncio.CancelledError

    async def body() -> None:
        executor = ThreadExecutor(lambda: Model("test", predict, is_async=True))
        served = await _scheduler(executor)
        with pytest.raises(Refused, match="what it awaited was cancelled") as refused:
            await served.infer(CALL)
        assert refused.value.reason is Reason.FAILED
        await executor.stop()

    asyncio.run(body())
