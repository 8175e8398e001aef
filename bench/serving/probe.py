"""Run in "ours" without a server: ``python probe.py WHAT FOLDER ROWS`` prints the milliseconds of the median call.

``session``: onnxruntime, opened as our server opens it, ROWS rows at a time. ``decode``: the codec, one request of
ROWS images as binary tensors.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.dialects import v2_binary
from shipway.runtime.formats import find, open_model
from shipway.runtime.server.codec import oip
from shipway.runtime.server.codec.door import Door
from shipway.runtime.signature import Signature, Tensor

_SECONDS = 1.0


def main(what: str, folder: Path, rows: int) -> None:
    """Print one number."""
    x = np.concatenate([np.load(folder.with_suffix(".rows.npy"))] * rows)[:rows]
    print(_milliseconds({"session": _session, "decode": _decode}[what](folder, x)))


def _session(folder: Path, x: Any) -> Callable[[], Any]:
    session = open_model(find(folder), allow_pickle=False)
    names, feed = [session.get_outputs()[0].name], {"input": x}
    return lambda: session.run(names, feed)


def _decode(_folder: Path, x: Any) -> Callable[[], Any]:
    message = v2_binary("output")(x, 0)
    length = int(dict(message.headers)["inference-header-content-length"])
    door = Door(Signature((Tensor("input", "FP32", (-1, *x.shape[1:])),), (Tensor("output", "FP32", (-1,)),)))
    return lambda: oip.decode(message.body, length, door)


def _milliseconds(call: Callable[[], Any]) -> float:
    """The median of the calls of one second; the first ones do not count."""
    for _ in range(20):
        call()
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while (start := time.perf_counter()) < end:
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
