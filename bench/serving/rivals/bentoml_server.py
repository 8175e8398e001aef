"""BentoML: a service with one worker. Variants: alone, batch (adaptive batching)."""

from __future__ import annotations

import os

import bentoml
import numpy as np

from bench.serving.rivals.engine import open_engine

BATCH = os.environ.get("VARIANT") == "batch"


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Bench:
    """One row per request."""

    def __init__(self) -> None:
        self.infer, self.dtype = open_engine()

    @bentoml.api(batchable=BATCH, max_batch_size=64, max_latency_ms=1000)
    def predict(self, input: np.ndarray) -> np.ndarray:
        answer: np.ndarray = self.infer(np.asarray(input, self.dtype))
        return answer
