"""KServe: a Model class, as in the documentation's "Custom Predictor"; one worker, REST and gRPC."""

from __future__ import annotations

import os

import kserve
from kserve import InferOutput, InferRequest, InferResponse
from kserve.utils.numpy_codec import from_np_dtype

from bench.serving.rivals.engine import open_engine


class Bench(kserve.Model):
    """Open Inference Protocol v2, the first output by the name that our server gives it."""

    def __init__(self) -> None:
        super().__init__("bench", return_response_headers=False)
        self.infer, self.dtype = open_engine()
        self.ready = True

    def predict(self, payload: InferRequest, headers: object = None, response_headers: object = None) -> InferResponse:
        rows = payload.inputs[0].as_numpy().astype(self.dtype, copy=False)
        answer = self.infer(rows)
        output = InferOutput(
            name=os.environ["OUTPUT"],
            shape=list(answer.shape),
            datatype=from_np_dtype(answer.dtype),
        )
        output.set_data_from_numpy(answer, binary_data=False)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    kserve.ModelServer(
        http_port=int(os.environ["PORT"]),
        grpc_port=int(os.environ["GRPC_PORT"]),
        workers=1,
        enable_latency_logging=False,  # a line per request: every server here runs without
        access_log_format=None,
    ).start([Bench()])
