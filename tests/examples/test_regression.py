"""examples/regression: its gradient, and that what is served is the closed form's answer."""

from __future__ import annotations

import json
import runpy
from collections import deque

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from tests.e2e.home import EXAMPLES, Home, post

FOLDER = EXAMPLES / "regression"
TOLERANCE = 1e-6  # of answers between 34 and 304; gradient descent of 5000 steps comes within 1.3e-7


@pytest.mark.slow
def test_the_gradient_is_the_slope_of_the_loss() -> None:
    train = runpy.run_path(str(FOLDER / "train.py"))
    random = np.random.default_rng(0)
    x, y, w = random.normal(size=(20, 3)), random.normal(size=20), random.normal(size=3)
    small = 1e-6 * np.eye(3)
    slopes = [(train["loss"](w + d, x, y) - train["loss"](w - d, x, y)) / 2e-6 for d in small]
    assert train["gradient"](w, x, y) == pytest.approx(slopes, abs=1e-8)


@pytest.mark.slow
def test_descent_ends_at_the_least_squares() -> None:
    train = runpy.run_path(str(FOLDER / "train.py"))
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 3)), random.normal(size=20)
    (last,) = deque(train["descend"](x, y, rate=0.4, steps=500), maxlen=1)
    assert last == pytest.approx(np.linalg.lstsq(x, y)[0], abs=1e-12)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_it_serves_what_the_closed_form_says(home: Home) -> None:
    home.ok("up", FOLDER, timeout=150.0)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0)
    solution = np.linalg.lstsq(_with_intercept(x_train), y_train)[0]
    url = f"{home.url('regression')}/predict"
    answers = post(url, {"input": x.tolist()}).json()["output"]
    assert np.abs(answers - _with_intercept(x) @ solution).max() < TOLERANCE

    r2 = 1 - np.var(y_test) ** -1 * np.mean((y_test - _with_intercept(x_test) @ solution) ** 2)
    (job,) = home.json("get", "jobs")
    assert job["status"]["metrics"]["r2"] == pytest.approx(r2)

    sample = (FOLDER / "sample.json").read_text()
    shown = json.loads(home.ok("predict", "regression", "--file", FOLDER / "sample.json"))["output"]
    assert shown == pytest.approx(_with_intercept(np.array(json.loads(sample)["input"])) @ solution)
    refused = post(url, {"input": [[50, 1, None, 100, 180, 100, 50, 4, None, 90]]})
    assert refused.status == 400 and "no value for bmi, s5" in refused.text


def _with_intercept(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])
