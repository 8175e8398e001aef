"""What batching gains and what the scheduler costs: ``python -m tests.runtime.engine.measure``.

Everything in one process, without protocols and codecs: callers that ask again as soon as they are answered, against
the same model called in a loop. For development; no test, for a shared machine has no stable times.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable

import numpy as np

from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.settings import Batching, Server
from shipway.runtime.signature import Signature, Tensor

_ROWS = 64
_SEED = np.random.default_rng(1)
_WEIGHTS = [
    _SEED.standard_normal(shape, dtype=np.float32) / 28 for shape in ((784, 500), (500, 500), (500, 500), (500, 10))
]


def _sleeper(x: Array) -> Array:
    time.sleep(0.005 + 20e-6 * len(x))
    return x[:, :10]


def _perceptron(x: Array) -> Array:
    hidden = np.maximum(x @ _WEIGHTS[0], 0)
    return np.asarray(hidden @ _WEIGHTS[3])


def _deep(x: Array) -> Array:
    for weights in _WEIGHTS[:3]:
        x = np.maximum(x @ weights, 0)
    return np.asarray(x @ _WEIGHTS[3])


def _nothing(x: Array) -> Array:
    return x


MODELS: dict[str, Callable[[Array], Array]] = {
    "5 ms + 20 us a row": _sleeper,
    "784-500-10": _perceptron,
    "784-500-500-500-10": _deep,
    "nothing": _nothing,
}


def in_a_loop(function: Callable[[Array], Array], rows: int, seconds: float) -> float:
    """Rows a second."""
    x = np.zeros((rows, 784), np.float32)
    count, end = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < end:
        function(x)
        count += rows
    return count / (time.perf_counter() - started)


async def served(
    function: Callable[[Array], Array], callers: int, settings: Server, seconds: float
) -> tuple[float, float, float]:
    """Requests a second, their 99th percentile in ms, CPU in microseconds a request."""
    signature = Signature((Tensor("x", "FP32", (-1, 784)),))
    model = Model("measure", lambda call: {"y": function(call.inputs["x"])}, signature)
    executor = ThreadExecutor(lambda: model, settings.instances)
    scheduler = Scheduler(executor, await executor.start(), settings)
    call = Call({"x": np.zeros((1, 784), np.float32)})
    latencies: list[float] = []
    warm = time.perf_counter() + seconds / 3
    end = warm + seconds

    async def ask() -> None:
        while (started := time.perf_counter()) < end:
            await scheduler.infer(call)
            if started > warm:
                latencies.append(time.perf_counter() - started)

    tasks = [asyncio.create_task(ask()) for _ in range(callers)]
    await asyncio.sleep(seconds / 3)
    cpu = time.process_time()
    await asyncio.gather(*tasks)
    cpu = time.process_time() - cpu
    await executor.stop()
    latencies.sort()
    return len(latencies) / seconds, latencies[int(len(latencies) * 0.99)] * 1e3, cpu / len(latencies) * 1e6


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--callers", type=int, default=64)
    options = parser.parse_args()
    for name, function in MODELS.items():
        one, many = (in_a_loop(function, rows, options.seconds / 3) for rows in (1, _ROWS))
        print(f"{name}: in a loop {one:.0f} rows/s one by one, {many:.0f} rows/s in {_ROWS}s: gain {many / one:.1f}")
        for label, batching in (
            ("unbatched", Batching(max_rows=1)),
            ("batched", Batching()),
            ("batched, held up to 5 ms", Batching(max_delay=0.005)),
        ):
            rate, p99, cpu = asyncio.run(served(function, options.callers, Server(batching=batching), options.seconds))
            print(
                f"  {label:25s} {rate:7.0f} requests/s  p99 {p99:6.2f} ms  {cpu:6.1f} us CPU a request"
                f"  gain {rate / one:5.1f} = {rate / many:4.0%} of the model's"
            )


if __name__ == "__main__":
    main()
