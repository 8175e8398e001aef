"""Calls of models in real worker processes."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import numpy as np
import pytest

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.batch import join
from shipway.runtime.server.engine.executor import Executor
from shipway.runtime.server.engine.processes.executor import ProcessExecutor
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import call as call_here
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.settings import Settings
from tests.runtime.processes.conftest import ask, doing, until, working

pytestmark = pytest.mark.slow

CHECKED = """
import numpy as np
from shipway import Predictor, Signature, Tensor
class P(Predictor):
    signature = Signature((Tensor("x", "FP32", (-1, 3)), Tensor("t", "BYTES", (-1,))))
    def load(self, model_dir): pass
    def warmup(self): return {"x": np.zeros((1, 3), np.float32), "t": ["a"]}
    def predict(self, x): return {"sum": x["x"].sum(axis=1) * 2, "t": [text * 2 for text in x["t"]], "x": x["x"]}
"""


def test_an_executor_is_one() -> None:
    executor: Executor = ProcessExecutor(Settings())
    assert executor.idle == 0


def test_a_thousand_calls_answer_as_they_do_in_this_process(tmp_path: Path) -> None:
    chance, numbers = random.Random(1), np.random.default_rng(1)

    def inputs() -> dict[str, Array]:
        rows = chance.choice([0, 1, 2, 30, 900])
        texts = [chance.choice(["", "é", "text", "🚢" * 9]) for _ in range(rows)]
        return {"x": numbers.random((rows, 3), dtype=np.float32), "t": np.array(texts, object)}

    async def run() -> None:
        async with working(tmp_path, "P", 2, CHECKED) as (executor, description):
            here = load(Settings(predictor=f"{tmp_path}/predictors.py:P"))
            assert [str(one) for one in description.signature.outputs] == [
                "sum FP32 [-1]",
                "t BYTES [-1]",
                "x FP32 [-1, 3]",
            ]
            for _ in range(1000):
                call = Call(inputs(), wanted=chance.choice([(), ("sum",), ("t", "x")]))
                answer, expected = await ask(executor, call), call_here(here, call)
                assert answer.rows == expected.rows
                assert list(answer.outputs) == list(expected.outputs)
                for name, array in expected.outputs.items():
                    got = answer.outputs[name]
                    assert (got.dtype, got.shape) == (array.dtype, array.shape)
                    assert (got == array).all()

    asyncio.run(run())


def test_large_tensors_and_batches(tmp_path: Path) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            large = np.random.default_rng(0).random((16, 2**19))  # 64 MiB
            first = (await ask(executor, Call({"x": large}))).outputs["output"]
            second = (await ask(executor, Call({"x": -large}))).outputs["output"]
            assert (first == large).all()
            assert (second == -large).all()
            del first, second
            calls = [Call({"x": np.full((rows, 300), rows, np.float16)}) for rows in (3, 500, 1)]
            joined = (await ask(executor, join(calls))).outputs["output"]
            assert joined.dtype == np.float16
            assert joined[:, 0].tolist() == [3] * 3 + [500] * 500 + [1]

    asyncio.run(run())


def test_errors_come_as_they_are(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            with pytest.raises(BadInput, match=r"^naïve input$"):
                await ask(executor, doing("bad"))
            with pytest.raises(Refused, match="predict failed: KeyError: 'pardon'") as failed:
                await ask(executor, doing("fail"))
            assert failed.value.reason is Reason.FAILED
            with pytest.raises(Refused, match="outputs: UnicodeEncodeError"):
                await ask(executor, doing("surrogate"))
            with pytest.raises(Refused, match="read-only"):
                await ask(executor, doing("write", x=np.zeros(1)))
            with pytest.raises(BadInput, match="no form in UTF-8"):
                await ask(executor, doing("\ud800"))
            with pytest.raises(BadInput, match="unknown output 'nope'; the model gave x"):
                await ask(executor, Call(doing("echo", x=np.zeros(1)).inputs, wanted=("nope",)))
            assert (await ask(executor, doing("echo", x=np.ones(1)))).outputs["x"].tolist() == [1]

    asyncio.run(run())
    assert "Traceback" in capfd.readouterr().err


def test_an_input_that_is_kept_stays_what_it_was(tmp_path: Path) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            await ask(executor, doing("keep", x=np.full((1, 10_000), 1.0)))
            for value in range(2, 9):
                answer = await ask(executor, doing("kept", x=np.full((1, 10_000), float(value))))
                assert (answer.outputs["kept"] == 1).all()
                assert (answer.outputs["x"] == value).all()

    asyncio.run(run())


def test_an_async_model_has_many_calls_at_a_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with working(tmp_path, "Many") as (executor, description):
            assert description.concurrent
            assert executor.idle == 1024
            results: list[object] = []
            give_up = [executor.run(Call({"x": np.array([1000.0])}), results.append) for _ in range(3)]
            short = [ask(executor, Call({"x": np.array([0.01 * number])})) for number in range(20)]
            answers = await asyncio.gather(*short)
            assert [answer.outputs["output"][0] for answer in answers] == [0.01 * number for number in range(20)]
            assert executor.idle == 1021
            for number in (0, 0, 1, 1):
                stop = give_up[number]
                assert stop is not None
                stop()
            await until(lambda: len(results) == 2)
            assert all(isinstance(one, Refused) and one.reason is Reason.CANCELLED for one in results)
            assert executor.idle == 1023
            most = (await ask(executor, Call({"x": np.array([-1.0])}))).outputs["output"][0]
            assert most >= 3
            assert (await ask(executor, Call({"x": np.array([-2.0])}))).outputs["output"][0] == 2
            assert stop is not None
            stop()  # long over

    asyncio.run(run())


@pytest.mark.parametrize("predictor", ["Items", "AsyncItems"])
def test_a_stream_goes_as_fast_as_it_is_read(tmp_path: Path, predictor: str) -> None:
    async def run() -> None:
        async with working(tmp_path, predictor) as (executor, description):
            assert description.streams
            room, woken = executor.idle, asyncio.Event()
            executor.on_idle(woken.set)
            stream = executor.stream(Call({"x": np.array([5, 3])}))
            assert executor.idle == room - 1
            items = [(outputs["item"].tolist(), int(outputs["made"])) async for outputs in stream]
            assert items == [([float(number)] * 3, number + 1) for number in range(5)]
            await asyncio.wait_for(woken.wait(), 10)
            assert executor.idle == room
            assert [one async for one in stream] == []
            await stream.aclose()

            large = executor.stream(Call({"x": np.array([100, 10_000])}))
            for number in range(3):
                assert (await anext(large))["item"].tolist() == [number] * 10_000
            await large.aclose()
            await large.aclose()
            assert executor.idle == room
            never_begun = executor.stream(Call({"x": np.array([100, 1])}))
            await never_begun.aclose()

            failing = executor.stream(Call({"x": np.array([9, 1])}))
            with pytest.raises((Refused, BadInput), match="seven"):
                _ = [one async for one in failing]
            assert executor.idle == room

    asyncio.run(run())


def test_the_reason_of_a_refusal_is_the_workers(tmp_path: Path) -> None:
    async def refused(code: str) -> str:
        with pytest.raises(ModelRefused) as refusal:
            async with working(tmp_path, "P", 2, "from shipway import Predictor\n" + code):
                raise AssertionError("it started")
        return str(refusal.value)

    async def run() -> None:
        assert "could not be imported: ModuleNotFoundError: No module named 'nope'" in await refused("import nope")
        crash = "class P(Predictor):\n  def load(self, d):\n    import os; os."
        assert "(exit code 7) while it loaded the model" in await refused(crash + "_exit(7)")
        assert "(signal 11) while it loaded the model" in await refused(crash + "kill(os.getpid(), 11)")

    before = set(_children())
    asyncio.run(run())
    assert set(_children()) <= before


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
