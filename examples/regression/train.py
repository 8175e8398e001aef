"""Linear regression by gradient descent: from ten measurements of a patient, how diabetes went on within a year.

With the columns of X and y standardised, the model is y = X w (its intercept is 0). The loss is half the mean of the
squared errors, and each step goes against its gradient:

    L(w) = |X w - y|^2 / 2n        dL/dw = X^T (X w - y) / n        w <- w - rate * dL/dw

This converges for rates below 2 / (the largest eigenvalue of X^T X / n), which is 0.48 for these data.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from shipway import log_metrics, output_dir, params


def loss(w, x, y):
    return np.mean((x @ w - y) ** 2) / 2


def gradient(w, x, y):
    return x.T @ (x @ w - y) / len(y)


def descend(x, y, rate, steps):
    """Give the weights after each step, from zeros on."""
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        w = w - rate * gradient(w, x, y)
        yield w


def main():
    settings = params(rate=0.4, steps=5000, seed=0)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=settings["seed"])

    # Only the training data say how to scale: the test data stand for patients whom nobody has seen.
    x_mean, x_std = x_train.mean(axis=0), x_train.std(axis=0)
    y_mean, y_std = y_train.mean(), y_train.std()
    x_train, x_test = (x_train - x_mean) / x_std, (x_test - x_mean) / x_std
    y_train, y_test = (y_train - y_mean) / y_std, (y_test - y_mean) / y_std

    for step, w in enumerate(descend(x_train, y_train, settings["rate"], settings["steps"]), start=1):
        if step.bit_count() == 1 or step == settings["steps"]:  # 1, 2, 4, 8 ...: the curve soon gets flat
            r2 = 1 - 2 * loss(w, x_test, y_test) / y_test.var()
            log_metrics(step=step, loss=loss(w, x_train, y_train), r2=r2)

    np.savez(output_dir() / "model.npz", weights=w, x_mean=x_mean, x_std=x_std, y_mean=y_mean, y_std=y_std)
    print(f"R^2 on {len(y_test)} patients whom it has not seen: {r2:.3f}")


if __name__ == "__main__":
    main()
