"""Logistic regression by gradient descent: from thirty measurements of a tumour, the probability that it is malignant.

The model is p = sigmoid(X w + b), with standardised X. The loss is the mean cross-entropy with an L2 penalty on w;
its gradient is as simple as that of linear regression:

    L(w, b) = mean(-y log p - (1 - y) log(1 - p)) + penalty |w|^2 / 2
    dL/dw = X^T (p - y) / n + penalty w        dL/db = mean(p - y)

With z = X w + b and softplus(z) = log(1 + e^z), the cross-entropy of one row is softplus(z) - y z, and
p = e^-softplus(-z): so written, nothing overflows.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from shipway import log_metrics, output_dir, params


def softplus(z):
    return np.logaddexp(0, z)


def sigmoid(z):
    return np.exp(-softplus(-z))


def cross_entropy(z, y):
    return np.mean(softplus(z) - y * z)


def gradient(w, b, x, y, penalty):
    error = sigmoid(x @ w + b) - y
    return x.T @ error / len(y) + penalty * w, error.mean()


def descend(x, y, rate, penalty, steps):
    """Give the weights and the intercept after each step, from zeros on."""
    w, b = np.zeros(x.shape[1]), 0.0
    for _ in range(steps):
        dw, db = gradient(w, b, x, y, penalty)
        w, b = w - rate * dw, b - rate * db
        yield w, b


def main():
    settings = params(rate=0.5, penalty=0.01, steps=5000, seed=0)
    x, y = load_breast_cancer(return_X_y=True)
    y = 1 - y  # the data set says 1 for benign
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, stratify=y, random_state=settings["seed"])
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

    steps = descend(x_train, y_train, settings["rate"], settings["penalty"], settings["steps"])
    for step, (w, b) in enumerate(steps, start=1):
        if step.bit_count() == 1 or step == settings["steps"]:  # 1, 2, 4, 8 ...: the curve soon gets flat
            z = x_test @ w + b
            log_metrics(
                step=step,
                loss=cross_entropy(x_train @ w + b, y_train),
                test_loss=cross_entropy(z, y_test),
                accuracy=np.mean((z > 0) == y_test),  # z > 0 is p > 1/2
            )

    np.savez(output_dir() / "model.npz", weights=w, intercept=b, mean=mean, std=std)
    print(f"cross-entropy on {len(y_test)} tumours that it has not seen: {cross_entropy(z, y_test):.3f}")


if __name__ == "__main__":
    main()
