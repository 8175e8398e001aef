"""Real worker processes for a test, and the predictors that they run."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.processes.executor import ProcessExecutor
from shipway.runtime.server.settings import Settings

PREDICTORS = '''
import asyncio, ctypes, os, signal, sys, time
import numpy as np
from shipway import Predictor
from shipway.runtime.errors import BadInput

class Plain(Predictor):
    """Does what its input ``do`` says, with the others."""
    kept = None
    def load(self, model_dir): pass
    def predict(self, x):
        if not isinstance(x, dict):
            return x
        x = dict(x)
        do, argument = str(x.pop("do")[0]), x.pop("argument", [0])[0]
        if do == "pid": return [os.getpid()] * len(argument)
        if do == "sleep": time.sleep(float(argument))
        if do == "hang": ctypes.PyDLL(None).sleep(1000)  # with the interpreter's lock
        if do == "exit": os._exit(int(argument))
        if do == "kill": os.kill(os.getpid(), int(argument))
        if do == "bad": raise BadInput("naïve input")
        if do == "fail": raise KeyError("pardon")
        if do == "surrogate": return np.array(["\\ud800"], object)
        if do == "write": x["x"][0] = 1
        if do == "keep": self.kept = x["x"]
        if do == "kept": return {"kept": self.kept, **x}
        if do == "close": os.closerange(3, 100)
        return x

class Many(Predictor):
    running = most = cancelled = 0
    def load(self, model_dir): pass
    async def predict(self, x):
        if x[0] < 0: return np.array([[-1.0, self.most, self.cancelled]])[:, int(-x[0])]
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(float(x[0]))
        except asyncio.CancelledError:
            Many.cancelled += 1
            raise
        finally:
            self.running -= 1
        return x

class Items(Predictor):
    log = []
    def load(self, model_dir): pass
    def predict(self, x):
        try:
            for number in range(int(x[0])):
                self.log.append(number)
                if number == 7: raise KeyError("seven")
                yield {"item": np.full(int(x[1]), number, float), "made": len(self.log)}
        finally:
            self.log.append("closed")

class AsyncItems(Items):
    async def predict(self, x):
        for number in range(int(x[0])):
            self.log.append(number)
            if number == 7: raise BadInput("seven")
            await asyncio.sleep(0)
            yield {"item": np.full(int(x[1]), number, float), "made": len(self.log)}
'''


@contextlib.asynccontextmanager
async def working(
    folder: Path, predictor: str, instances: int = 1, code: str = PREDICTORS
) -> AsyncIterator[tuple[ProcessExecutor, Description]]:
    """An executor of a predictor that has started, and is stopped in the end."""
    file = folder / "predictors.py"
    file.write_text(code)
    executor = ProcessExecutor(Settings(predictor=f"{file}:{predictor}"), instances)
    description = await executor.start()
    try:
        yield executor, description
    finally:
        await executor.stop()


async def ask(executor: ProcessExecutor, call: Call) -> Answer:
    """The answer. Raises what ``run`` is told. Waits until there is room."""
    await until(lambda: executor.idle > 0)
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def done(result: Answer | Exception) -> None:
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    executor.run(call, done)
    return await future


def doing(do: str, argument: object = 0, **more: Array) -> Call:
    """A call of ``Plain``."""
    return Call({"do": np.array([do], object), "argument": np.array([argument]), **more})


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for it. Raises AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether no such process runs, or only its remains are left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def open_files() -> int:
    """Of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
