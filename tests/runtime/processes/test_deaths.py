"""Workers that die, hang, or lose their server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from shipway.runtime.server.calls import Call
from shipway.runtime.server.engine.processes import child
from shipway.runtime.server.engine.processes import executor as executor_module
from shipway.runtime.server.engine.processes.executor import ProcessExecutor
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.refusals import Reason, Refused
from tests.runtime.conftest import Serve
from tests.runtime.processes.conftest import PREDICTORS, ask, doing, gone, open_files, until, working

pytestmark = pytest.mark.slow


def _pids(executor: ProcessExecutor) -> list[int]:
    return [one.pid for one in executor._children]


@pytest.mark.parametrize(
    ("do", "argument", "how"), [("kill", 9, "signal 9"), ("exit", 3, "exit code 3"), ("close", 0, "signal 9")]
)
def test_a_worker_that_dies_loses_its_own_call_only(tmp_path: Path, do: str, argument: int, how: str) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain", 2) as (executor, _):
            woken: list[int] = []
            executor.on_idle(lambda: woken.append(executor.idle))
            long = asyncio.create_task(ask(executor, doing("sleep", 1.0, x=np.ones(1))))
            await asyncio.sleep(0)
            assert executor.idle == 1
            with pytest.raises(Refused, match=rf"^worker \d+ died \({how}\) during this call$") as refused:
                await ask(executor, doing(do, argument))
            assert refused.value.reason is Reason.UNAVAILABLE
            assert refused.value.retry_after
            assert executor.idle <= 1
            assert (await long).outputs["x"].tolist() == [1]
            await until(lambda: executor.idle == 2)
            assert woken
            assert (await ask(executor, doing("echo", x=np.ones(1)))).outputs["x"].tolist() == [1]

    asyncio.run(run())


def test_a_worker_that_is_killed_while_idle_comes_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            (pid,) = _pids(executor)
            woken = asyncio.Event()
            executor.on_idle(woken.set)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: executor.idle == 0)
            await asyncio.wait_for(woken.wait(), 30)
            assert executor.idle == 1
            assert _pids(executor) != [pid]
            assert (await ask(executor, Call({"x": np.ones(1)}))).outputs["output"].tolist() == [1]

    asyncio.run(run())


def test_a_call_that_hangs_costs_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE", 0.1)

    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            in_time = Call(doing("sleep", 0.01, x=np.ones(1)).inputs, expires=time.monotonic() + 60)
            assert (await ask(executor, in_time)).outputs["x"].tolist() == [1]
            hanging = Call(doing("hang").inputs, expires=time.monotonic() + 0.1)
            with pytest.raises(Refused, match="signal 9"):
                await ask(executor, hanging)
            assert (await ask(executor, Call({"x": np.ones(1)}))).outputs["output"].tolist() == [1]

    asyncio.run(run())


def test_a_call_that_hangs_and_that_nobody_waits_for_costs_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE", 0.3)

    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, description):
            (pid,) = _pids(executor)
            served = Scheduler(executor, description)
            short = asyncio.create_task(served.infer(doing("sleep", 0.05, x=np.ones(1))))
            await until(lambda: executor.idle == 0)
            short.cancel()
            await until(lambda: executor.idle == 1)
            callers = [asyncio.create_task(served.infer(doing("hang"))) for _ in range(3)]
            await until(lambda: executor.idle == 0)
            assert _pids(executor) == [pid], "what ends in time costs nothing"
            for caller in callers:
                caller.cancel()
            await until(lambda: gone(pid))
            answer = await served.infer(doing("echo", x=np.ones(1)))
            assert answer.outputs["x"].tolist() == [1]

    asyncio.run(run())


def test_a_stream_that_hangs_as_its_reader_goes_costs_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE", 0.1)
    code = (
        "import time\nfrom shipway import Predictor\nclass P(Predictor):\n"
        "  def load(self, d): pass\n"
        "  def predict(self, x):\n    yield x\n    time.sleep(1000)\n"
    )

    async def run() -> None:
        async with working(tmp_path, "P", code=code) as (executor, _):
            stream = executor.stream(Call({"x": np.ones(1)}))
            await anext(stream)
            reading = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait_for(stream.aclose(), 30)

    asyncio.run(run())


def test_a_stream_ends_with_its_worker(tmp_path: Path) -> None:
    async def run() -> None:
        async with working(tmp_path, "Items") as (executor, _):
            stream = executor.stream(Call({"x": np.array([5, 1])}))
            await anext(stream)
            os.kill(_pids(executor)[0], signal.SIGKILL)
            await until(lambda: executor._children == set())
            with pytest.raises(Refused, match="signal 9"):
                await anext(stream)
            await stream.aclose()

    asyncio.run(run())


def test_nothing_is_left_of_workers_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "pause", lambda deaths: 0.0)

    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            counts, pids = [], []
            for _ in range(RESPAWNS):
                answer = await ask(executor, Call({"x": np.ones(10_000)}))
                assert answer.outputs["output"].sum() == 10_000
                del answer
                pids += _pids(executor)
                with pytest.raises(Refused):
                    await ask(executor, doing("kill", 9))
                await until(lambda: executor.idle == 1)
                gc.collect()
                counts.append(open_files())
            assert counts[-1] <= counts[1]
            assert all(map(gone, pids))

    before = open_files()
    asyncio.run(run())
    gc.collect()
    assert open_files() <= before


RESPAWNS = int(os.environ.get("SHIPWAY_TEST_RESPAWNS", "6"))


def test_a_worker_that_cannot_load_any_more_is_tried_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        async with working(tmp_path, "Plain") as (executor, _):
            file = tmp_path / "predictors.py"
            file.rename(tmp_path / "away")
            with pytest.raises(Refused):
                await ask(executor, doing("kill", 9))
            text = ""
            while "there is no file" not in text:
                await asyncio.sleep(0.02)
                text += capfd.readouterr().err
            assert executor.idle == 0
            (tmp_path / "away").rename(file)
            assert (await ask(executor, Call({"x": np.ones(1)}))).outputs["output"].tolist() == [1]

    asyncio.run(run())


def test_stop_lets_a_call_finish_and_waits_for_none_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_STOPPING", 0.7)

    async def run() -> None:
        async with working(tmp_path, "Plain", 2) as (executor, _):
            pids, results = _pids(executor), list[object]()
            executor.run(doing("hang"), results.append)
            executor.run(doing("sleep", 0.2, x=np.ones(1)), results.append)
            await executor.stop()
            assert len(results) == 2
            assert sum(isinstance(one, Refused) for one in results) == 1
            assert all(map(gone, pids))

    asyncio.run(run())


def test_signals_for_the_whole_group_leave_workers_to_the_server(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PREDICTORS)
    server = serve(None, "p.py:Plain", SHIPWAY_SERVER='{"drainDelay": 0.5}')
    server.wait()
    (worker,) = _workers_of(server.process.pid)
    with contextlib.closing(server.connect()) as connection:
        body = b'{"input": {"do": ["sleep"], "argument": [1.0], "x": [4]}}'
        connection.request("POST", "/predict", body)
        time.sleep(0.3)
        for pid in (worker, server.process.pid):
            os.kill(pid, signal.SIGTERM)
        os.kill(worker, signal.SIGINT)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b'{"output":[4]}')
    assert server.end()[0] == 0
    assert gone(worker)


@pytest.mark.parametrize("body", [b'{"input": {"do": ["hang"]}}', None])
def test_workers_die_with_a_server_that_is_killed(serve: Serve, tmp_path: Path, body: bytes | None) -> None:
    (tmp_path / "p.py").write_text(PREDICTORS)
    server = serve(None, "p.py:Plain", SHIPWAY_SERVER='{"instances": 2}')
    server.wait()
    workers = _workers_of(server.process.pid)
    assert len(workers) == 2
    with contextlib.closing(server.connect()) as connection:
        if body:
            connection.request("POST", "/predict", body)
            time.sleep(0.2)
        server.process.kill()
        end = time.monotonic() + 20
        while not all(map(gone, workers)):
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_server_that_ends_right_after_it_spawned_a_worker_leaves_none_behind(tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    file.write_text("import time\ntime.sleep(60)\n")  # it does not look at its socket meanwhile
    code = (
        "import asyncio, os\n"
        "from shipway.runtime.server.engine.processes.child import Child\n"
        "from shipway.runtime.server.settings import Settings\n"
        "async def main():\n"
        "    child = Child()\n"
        "    child.spawn()\n"
        f"    ready = asyncio.ensure_future(child.ready(Settings(predictor='{file}:P')))\n"
        "    for _ in range(20): await asyncio.sleep(0)\n"
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=30)  # until the pipe's end
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_program_that_user_code_starts_does_not_keep_the_worker_alive(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\nfrom shipway import Predictor\nclass P(Predictor):\n"
        "  def load(self, d): self.p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "  def predict(self, x): return [self.p.pid] * len(x)\n"
    )

    async def run() -> int:
        async with working(tmp_path, "P", code=code) as (executor, _):
            pid = int((await ask(executor, Call({"x": np.ones(1)}))).outputs["output"][0])
            handled = int(Path(f"/proc/{pid}/status").read_text().split("SigIgn:")[1].split()[0], 16)
            assert not handled & (1 << (signal.SIGTERM - 1))
            assert not any("memfd" in str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())
            os.kill(_pids(executor)[0], signal.SIGKILL)
            await until(lambda: executor._children == set())
            return pid

    pid = asyncio.run(run())
    os.kill(pid, signal.SIGTERM)


def test_the_server_does_not_import_what_the_predictor_does(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import sqlite3\n" + PREDICTORS)
    server = serve(None, "p.py:Plain")
    server.wait()
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    (worker,) = _workers_of(server.process.pid)
    assert "sqlite3" not in maps
    assert "sqlite3" in Path(f"/proc/{worker}/maps").read_text()
    assert "httptools" not in Path(f"/proc/{worker}/maps").read_text()


def _workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if child.WORKER in Path(f"/proc/{one}/cmdline").read_text()]
