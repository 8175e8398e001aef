"""A Keras model behind a URL: scans in, a digit and the probability of each digit out."""

import os

import keras

from shipway import Predictor, Signature, Tensor


class Digits(Predictor):
    """Scans of 8x8 pixels, 0 to 16, as rows of 64.

    ``MODEL_FILE``, in ``env`` of the service, says which file of the model is read.
    """

    signature = Signature(inputs=(Tensor("pixels", "FP32", (-1, 64)),))

    def load(self, model_dir):
        # safe_mode: a layer that holds Python code (a Lambda) is refused, not run.
        file = model_dir / os.environ.get("MODEL_FILE", "model.keras")
        self.model = keras.saving.load_model(file, compile=False, safe_mode=True)

    def predict(self, x):
        probabilities = self.model(x).numpy()
        return {"digit": probabilities.argmax(axis=1), "probabilities": probabilities}
