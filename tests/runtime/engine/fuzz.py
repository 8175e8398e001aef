"""No request gets another one's answer: ``python -m tests.runtime.engine.fuzz --requests 1000000 --seed 1``.

Callers in one loop ask a real executor with random sizes, types, names, parameters, deadlines and poison, and take some
requests back. Every answer is compared with what the function says; at the end no place and no row may be left over.
What differs between executors is a :class:`Plan`: worker processes join with one of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import math
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.executor import Executor
from shipway.runtime.server.engine.scheduler import Scheduler
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.settings import Batching, Server

BAD, BROKEN = 66, 99  # a row of only these is the caller's fault, or the model's
_CALLERS = 64
_KINDS = (np.float32, np.float64, np.int64, np.int16, object)
_TRAILING: tuple[tuple[int, ...], ...] = ((), (3,), (2, 2), (5, 1, 2))


def predict(inputs: Mapping[str, Array], scale: int = 3) -> dict[str, Array]:
    """``y``: each input times ``scale`` (text is repeated), summed with the others; ``z``: the first input again."""
    arrays = list(inputs.values())
    for array in arrays:
        if array.ndim > 1 and array.size:
            flat = array.reshape(len(array), -1)
            if (flat == (str(BAD) if array.dtype == object else BAD)).all(axis=1).any():
                raise BadInput("poison")
            if (flat == (str(BROKEN) if array.dtype == object else BROKEN)).all(axis=1).any():
                raise RuntimeError("broken")
    total = arrays[0] * scale
    for array in arrays[1:]:
        total = total + array * scale
    return {"y": total, "z": arrays[0].copy()}


def answer(call: Call) -> dict[str, Array]:
    """The model's function: :func:`predict` with the call's own ``scale``, sometimes slow."""
    if random.random() < 0.02:
        time.sleep(0.001)
    return predict(call.inputs, int(call.parameters.get("scale", 3)))


@dataclass(frozen=True)
class Plan:
    """What is fuzzed. ``disturb`` runs beside the callers (it kills workers, say) until it is cancelled; with
    ``fragile``, UNAVAILABLE is an answer. ``parameters``: whether the model sees them."""

    executor: Callable[[], Executor]
    disturb: Callable[[Executor], Awaitable[None]] | None = None
    fragile: bool = False
    parameters: bool = True


def threads() -> Plan:
    """Two instances in threads."""
    return Plan(lambda: ThreadExecutor(lambda: Model("fuzz", answer), 2))


class Fuzz:
    """One run. ``counts`` by outcome; ``wrong`` must stay 0."""

    def __init__(self, scheduler: Scheduler, plan: Plan, seed: int) -> None:
        self._scheduler = scheduler
        self._plan = plan
        self._random = random.Random(seed)
        self._arrays = np.random.default_rng(seed)
        self.counts: Counter[str] = Counter()

    async def caller(self, requests: int) -> None:
        """Ask so often, one request after another."""
        for _ in range(requests):
            call, poison = self._call()
            self.counts[await self._ask(call, poison)] += 1

    async def _ask(self, call: Call, poison: int) -> str:
        asking = asyncio.ensure_future(self._scheduler.infer(call))
        if self._random.random() < 0.05:
            await self._linger()
            asking.cancel()
        try:
            return self._judged(call, poison, await asking)
        except asyncio.CancelledError:
            return "cancelled"
        except BadInput:
            return "bad input" if poison == BAD else "wrong: BadInput"
        except Refused as refused:
            expected = {
                Reason.FAILED: poison == BROKEN,
                Reason.EXPIRED: call.expires != math.inf,
                Reason.OVERLOADED: True,
                Reason.UNAVAILABLE: self._plan.fragile,
            }
            return ("" if expected.get(refused.reason) else "wrong: ") + refused.reason.name.lower()

    async def _linger(self) -> None:
        if self._random.random() < 0.5:
            for _ in range(self._random.randrange(4)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(self._random.random() * 0.003)

    def _judged(self, call: Call, poison: int, got: Answer) -> str:
        if poison:
            return "wrong: poison was answered"
        scale = int(call.parameters.get("scale", 3)) if self._plan.parameters else 3
        expected = predict(call.inputs, scale)
        names = set(call.wanted) or set(expected)
        same = set(got.outputs) == names and all(
            got.outputs[name].dtype == expected[name].dtype and np.array_equal(got.outputs[name], expected[name])
            for name in names
        )
        return "answered" if same and got.rows == call.rows else "wrong"

    def _call(self) -> tuple[Call, int]:
        draw = self._random
        rows = draw.choices((1, 0, draw.randrange(2, 9), draw.randrange(60, 200)), (80, 2, 16, 2))[0]
        kind, trailing = draw.choice(_KINDS), draw.choice(_TRAILING)
        poison = draw.choices((0, BAD, BROKEN), (98, 1, 1))[0] if rows and trailing else 0
        names = ("a", "b") if kind is not object and draw.random() < 0.2 else ("a",)
        inputs = {name: self._array(rows, kind, trailing) for name in names}
        if poison:
            inputs["a"][draw.randrange(rows)] = str(poison) if kind is object else poison
        parameters: dict[str, Any] = draw.choice(({}, {"scale": 2}, {"scale": True}, {"scale": 2.0}))
        wanted = draw.choice(((), (), ("y",), ("z", "y")))
        expires = time.monotonic() + draw.random() * 0.02 if draw.random() < 0.05 else math.inf
        return Call(inputs, wanted, parameters, expires=expires), poison

    def _array(self, rows: int, kind: Any, trailing: tuple[int, ...]) -> Array:
        values = self._arrays.integers(100, 10_000, (rows, *trailing))
        return values.astype(str).astype(object) if kind is object else values.astype(kind)


async def fuzz(plan: Plan, requests: int, seed: int, max_delay: float = 0.0) -> Counter[str]:
    """The outcomes. Raises AssertionError when something is left over at the end."""
    executor = plan.executor()
    description = await executor.start()
    places = executor.idle
    batching = Batching(max_rows=32, max_delay=max_delay)
    scheduler = Scheduler(executor, description, Server(batching=batching))
    run = Fuzz(scheduler, plan, seed)
    disturbing = asyncio.ensure_future(plan.disturb(executor)) if plan.disturb else None
    await asyncio.gather(*(run.caller(requests // _CALLERS) for _ in range(_CALLERS)))
    if disturbing is not None:
        disturbing.cancel()
        await asyncio.gather(disturbing, return_exceptions=True)
    for _ in range(3000):
        if executor.idle == places and not scheduler.pending:
            break
        await asyncio.sleep(0.01)
    assert executor.idle == places, f"{places - executor.idle} places are never free again"
    load = scheduler.load
    assert (load.pending, load.rows) == (0, 0), f"{load} is left over"
    assert load.seconds == 0
    await executor.stop()
    return run.counts


def main() -> None:
    """Run, and print what happened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-delay", type=float, default=0.0)
    parser.add_argument("--plan", default="tests.runtime.engine.fuzz:threads", help="MODULE:FUNCTION that gives a Plan")
    options = parser.parse_args()
    module, _, name = options.plan.partition(":")
    plan = getattr(importlib.import_module(module), name)()
    started = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):  # the model's many tracebacks
        counts = asyncio.run(fuzz(plan, options.requests, options.seed, options.max_delay))
    print(f"seed {options.seed}, {sum(counts.values())} requests in {time.perf_counter() - started:.0f} s")
    for outcome, count in counts.most_common():
        print(f"{count:10d} {outcome}")
    if any(outcome.startswith("wrong") for outcome in counts):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
