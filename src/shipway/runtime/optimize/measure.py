"""How much faster one model is than another, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shipway.runtime.server.calls import Array

Predict = Callable[[Mapping[str, Array]], object]

_ROUNDS = 30
_AT_LEAST = 0.002  # seconds of one timing: below, the clock and the scheduler are what one measures


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one call, the shortest of interleaved rounds: what else runs on the machine only adds to them."""

    rows: int
    original: float
    optimized: float

    @property
    def gain(self) -> float:
        """How many times as fast."""
        return self.original / self.optimized


def timings(
    original: Predict, optimized: Predict, samples: Mapping[str, Array], sizes: tuple[int, ...]
) -> list[Timing]:
    """Both models with the first rows of the samples, for each number of rows (repeated where there are fewer)."""
    inputs = {size: {name: _first(array, size) for name, array in samples.items()} for size in sizes}
    return [_timing(original, optimized, rows, size) for size, rows in inputs.items()]


def _timing(original: Predict, optimized: Predict, inputs: Mapping[str, Array], rows: int) -> Timing:
    repeats = [_repeats(predict, inputs) for predict in (original, optimized)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for which, predict in enumerate((original, optimized)):
            seconds[which].append(_seconds(predict, inputs, repeats[which]))
    return Timing(rows, min(seconds[0]), min(seconds[1]))


def _repeats(predict: Predict, inputs: Mapping[str, Array]) -> int:
    predict(inputs)
    return max(1, round(_AT_LEAST / max(_seconds(predict, inputs, 1), 1e-7)))


def _seconds(predict: Predict, inputs: Mapping[str, Array], repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        predict(inputs)
    return (time.perf_counter() - started) / repeats


def _first(array: Array, rows: int) -> Array:
    short = array[:rows]
    return short if len(short) == rows else array.repeat(-(-rows // len(array)), axis=0)[:rows]
