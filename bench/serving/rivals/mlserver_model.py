"""MLServer with onnxruntime: it has no runtime for ONNX, so a custom MLModel, as its documentation shows."""

from __future__ import annotations

import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.serving.rivals.engine import open_engine


class Bench(MLModel):
    """Open Inference Protocol v2, the first output."""

    async def load(self) -> bool:
        self.infer, self.dtype = open_engine()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(self.dtype, copy=False)
        output = NumpyCodec.encode_output(os.environ["OUTPUT"], self.infer(rows))
        return InferenceResponse(model_name=self.name, outputs=[output])
