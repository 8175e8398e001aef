"""The network behind a URL: scans in, a digit and the probability of each digit out."""

import torch
from network import Network, pictures

from shipway import Predictor, Signature, Tensor


class Digits(Predictor):
    """Scans of 8x8 pixels, 0 to 16, as rows of 64."""

    signature = Signature(inputs=(Tensor("pixels", "FP32", (-1, 64)),))

    def load(self, model_dir):
        self.model = Network()
        # weights_only: the file is a pickle, and may hold tensors; anything else in it is refused, not run.
        self.model.load_state_dict(torch.load(model_dir / "model.pt", weights_only=True))

    @torch.inference_mode()
    def predict(self, x):
        probabilities = self.model(pictures(torch.from_numpy(x))).softmax(dim=1)
        return {"digit": probabilities.argmax(dim=1), "probabilities": probabilities}
