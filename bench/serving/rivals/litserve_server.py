"""LitServe: a LitAPI on the CPU with one worker. Variants: alone, batch, fast (its ZeroMQ queue)."""

from __future__ import annotations

import os
from typing import Any

import litserve
import numpy as np

from bench.serving.rivals.engine import open_engine


class Bench(litserve.LitAPI):
    """One row per request."""

    def setup(self, device: str) -> None:
        self.infer, self.dtype = open_engine()

    # LitServe makes an endpoint of the annotation, and a text ("annotations" above) is none that it can read.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return np.asarray(request["input"], self.dtype)

    def predict(self, x: Any) -> Any:
        return self.infer(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"output": output.tolist()}


class Batched(Bench):
    """The same, rows of many requests in one call."""

    def batch(self, inputs: list[Any]) -> Any:
        return np.concatenate(inputs)

    def unbatch(self, output: Any) -> list[Any]:
        return list(output[:, None])


if __name__ == "__main__":
    variant = os.environ["VARIANT"]
    api = Batched(max_batch_size=64, batch_timeout=0.0) if variant == "batch" else Bench()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=variant == "fast")
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
