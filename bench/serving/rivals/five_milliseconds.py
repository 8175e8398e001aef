"""A Predictor of ours whose call takes 5 ms however many rows it gets, with the GIL released; like an accelerator."""

from __future__ import annotations

import time
from typing import Any

from shipway.runtime.predictor import Predictor
from shipway.runtime.signature import Signature, Tensor


class Fixed(Predictor):
    """Answers the first 10 columns."""

    signature = Signature(inputs=(Tensor("input", "FP32", (-1, 784)),))
    seconds = 0.005

    def load(self, model_dir: Any) -> None:
        """Nothing to load."""

    def predict(self, x: Any) -> Any:
        if self.seconds:
            time.sleep(self.seconds)
        return x[:, :10].copy()


class Free(Fixed):
    """The same without the wait: what is left is the server and its codec."""

    seconds = 0.0
