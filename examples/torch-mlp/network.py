"""What training and serving share: the network, and the pictures that it sees."""

from torch import nn
from torch.nn.functional import interpolate


class Network(nn.Module):
    """784 - 500 - 10: one hidden layer with ReLU; gives a score for each digit, from pictures as rows of 784."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 500)
        self.scores = nn.Linear(500, 10)

    def forward(self, x):
        return self.scores(self.hidden(x).relu())


def pictures(scans):
    """Rows of 784, 0 to 1: scans of 8x8 pixels, 0 to 16, scaled to 28x28."""
    return interpolate(scans.reshape(-1, 1, 8, 8) / 16, size=(28, 28), mode="bilinear").flatten(start_dim=1)
