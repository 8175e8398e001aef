"""Before and after the model: it was trained on standardised numbers, and people send and expect real ones."""

import numpy as np

from shipway import BadInput, Predictor, Signature, Tensor

MEASUREMENTS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


class Diabetes(Predictor):
    """Progression of the disease one year on, from 25 (hardly any) to 346, for rows of ten measurements."""

    signature = Signature(
        inputs=(Tensor("measurements", "FP64", (-1, len(MEASUREMENTS))),),
        outputs=(Tensor("progression", "FP64", (-1,)),),
    )

    def load(self, model_dir):
        with np.load(model_dir / "model.npz") as arrays:
            self.model = dict(arrays)

    def predict(self, x):
        missing = sorted({MEASUREMENTS[column] for _, column in np.argwhere(np.isnan(x))})
        if missing:
            raise BadInput(f"no value for {', '.join(missing)}: the model cannot do without")
        standardised = (x - self.model["x_mean"]) / self.model["x_std"]
        return self.model["y_mean"] + self.model["y_std"] * (standardised @ self.model["weights"])
