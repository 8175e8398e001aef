"""Ray Serve: a deployment with one replica. Variants: alone, batch, throughput (its own optimised settings)."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import ray
from ray import serve

from bench.serving.rivals.engine import open_engine


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 1})
class Bench:
    """One row per request."""

    def __init__(self) -> None:
        self.infer, self.dtype = open_engine()

    async def __call__(self, request: Any) -> dict[str, Any]:
        document = await request.json()
        return {"output": self.infer(np.asarray(document["input"], self.dtype)).tolist()}


@serve.deployment(num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 1})
class Batched:
    """The same, rows of many requests in one call."""

    def __init__(self) -> None:
        self.infer, self.dtype = open_engine()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)
    async def batch(self, rows: list[Any]) -> list[Any]:
        return list(self.infer(np.concatenate(rows)))

    async def __call__(self, request: Any) -> dict[str, Any]:
        document = await request.json()
        answer = await self.batch(np.asarray(document["input"], self.dtype))
        return {"output": [answer.tolist()]}


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])},
        logging_config={"enable_access_log": False},
    )
    chosen: Any = Batched if os.environ["VARIANT"] == "batch" else Bench
    serve.run(chosen.bind(), route_prefix="/predict")
    signal.sigwait([signal.SIGTERM])
    ray.shutdown()


if __name__ == "__main__":
    main()
