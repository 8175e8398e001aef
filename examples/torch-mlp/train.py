"""A feed-forward network in PyTorch that learns to read digits: cross-entropy, stochastic gradient descent.

Each step takes a batch of rows, and moves every weight against its gradient: w <- w - rate * dL/dw, where L is the
mean cross-entropy of the batch, -log softmax(scores)[digit].
"""

import torch
from network import Network, pictures
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy

from shipway import log_metrics, output_dir, params

settings = params(epochs=20, rate=0.1, batch=50, seed=0)
torch.manual_seed(settings["seed"])

scans, digits = load_digits(return_X_y=True)
split = train_test_split(scans, digits, test_size=0.25, stratify=digits, random_state=settings["seed"])
x_train, x_test = (pictures(torch.tensor(one, dtype=torch.float32)) for one in split[:2])
y_train, y_test = (torch.tensor(one) for one in split[2:])

network = Network()
for epoch in range(settings["epochs"]):
    for rows in torch.randperm(len(x_train)).split(settings["batch"]):
        loss = cross_entropy(network(x_train[rows]), y_train[rows])
        loss.backward()
        with torch.no_grad():  # torch.optim.SGD does the same, and takes 6 s of CPU to be imported
            for weights in network.parameters():
                weights -= settings["rate"] * weights.grad
                weights.grad = None
    with torch.inference_mode():
        loss = cross_entropy(network(x_train), y_train)
        accuracy = (network(x_test).argmax(dim=1) == y_test).float().mean()
    log_metrics(step=epoch, loss=loss, accuracy=accuracy)

torch.save(network.state_dict(), output_dir() / "model.pt")
print(f"accuracy on {len(y_test)} digits that it has not seen: {accuracy:.3f}")
