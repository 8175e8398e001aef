"""Between a request and the model: edit this and run `shipway up` again; nothing is trained anew."""

from shipway import Predictor, Signature, Tensor


class Digits(Predictor):
    """Pixels come as the scanner gives them, 0 to 16; the model was trained on 0 to 1."""

    signature = Signature(inputs=(Tensor("pixels", "FP64", (-1, 64)),))

    def predict(self, x):
        probabilities = self.model.predict_proba(x / 16)
        return {"digit": self.model.classes_[probabilities.argmax(axis=1)], "probabilities": probabilities}
