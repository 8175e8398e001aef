"""From a probability to a decision: how sure one must be is no matter of the model, and changes without training."""

import os

import numpy as np

from shipway import Predictor, Signature, Tensor


class Tumours(Predictor):
    """Rows of thirty measurements; the answer has the probability that each is malignant, and the decision.

    ``THRESHOLD``, in ``env`` of the service, is the probability from which on a tumour counts as malignant.
    """

    signature = Signature(
        inputs=(Tensor("measurements", "FP64", (-1, 30)),),
        outputs=(Tensor("probability", "FP64", (-1,)), Tensor("malignant", "BOOL", (-1,))),
    )

    def load(self, model_dir):
        self.threshold = float(os.environ.get("THRESHOLD", "0.5"))
        if not 0 < self.threshold < 1:
            raise ValueError(f"THRESHOLD is {self.threshold:g}; it must lie between 0 and 1")
        with np.load(model_dir / "model.npz") as arrays:
            self.model = dict(arrays)

    def predict(self, x):
        standardised = (x - self.model["mean"]) / self.model["std"]
        z = standardised @ self.model["weights"] + self.model["intercept"]
        probability = np.exp(-np.logaddexp(0, -z))
        return {"probability": probability, "malignant": probability >= self.threshold}
