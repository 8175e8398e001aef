"""examples/logistic: its gradient, scikit-learn's own solution, and what the threshold does."""

from __future__ import annotations

import runpy
import shutil

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.e2e.home import EXAMPLES, Home, Project, post, told

FOLDER = EXAMPLES / "logistic"
TOLERANCE = 1e-9  # of a probability; Newton's method and 5000 steps of gradient descent differ by 3e-12


@pytest.mark.slow
def test_the_gradient_is_the_slope_of_the_loss() -> None:
    train = runpy.run_path(str(FOLDER / "train.py"))
    random = np.random.default_rng(0)
    x, y, w, b = random.normal(size=(20, 3)), random.integers(0, 2, size=20), random.normal(size=3), 0.3

    def loss(weights: np.ndarray, intercept: float) -> float:
        return float(train["cross_entropy"](x @ weights + intercept, y) + 0.1 * weights @ weights / 2)

    dw, db = train["gradient"](w, b, x, y, penalty=0.1)
    assert dw == pytest.approx([(loss(w + d, b) - loss(w - d, b)) / 2e-6 for d in 1e-6 * np.eye(3)], abs=1e-8)
    assert db == pytest.approx((loss(w, b + 1e-6) - loss(w, b - 1e-6)) / 2e-6, abs=1e-8)


@pytest.mark.slow
def test_scores_of_any_size_neither_overflow_nor_lose_their_loss() -> None:
    train = runpy.run_path(str(FOLDER / "train.py"))
    scores = np.array([-1000.0, 0.0, 1000.0])
    assert train["sigmoid"](scores).tolist() == [0.0, 0.5, 1.0]
    assert train["cross_entropy"](scores, np.array([1, 1, 0])) == pytest.approx((2000 + np.log(2)) / 3)


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_it_serves_scikit_learns_solution_and_the_threshold_decides(home: Home) -> None:
    project = Project(home.projects / "logistic")
    shutil.copytree(FOLDER, project.folder)
    home.ok("up", project.folder, timeout=150.0)
    x, y = load_breast_cancer(return_X_y=True)
    x_train, _, y_train, _ = train_test_split(x, 1 - y, test_size=0.25, stratify=1 - y, random_state=0)
    # Their C weighs the sum of the losses against |w|^2 / 2, our penalty |w|^2 / 2 against the mean.
    solution = LogisticRegression(C=1 / (0.01 * len(x_train)), solver="newton-cholesky", tol=1e-10)
    theirs = make_pipeline(StandardScaler(), solution).fit(x_train, y_train).predict_proba(x)[:, 1]

    probability, malignant = answers(home, x)
    assert np.abs(probability - theirs).max() < TOLERANCE
    assert (malignant == (probability >= 0.2)).all() and 0 < malignant.sum() < len(x)

    project.edit("shipway.yaml", '{THRESHOLD: "0.2"}', '{THRESHOLD: "0.8"}')
    assert "logistic-00002" in home.ok("up", project.folder)
    same, stricter = answers(home, x)
    assert (same == probability).all() and (stricter == (probability >= 0.8)).all()
    assert stricter.sum() < malignant.sum()
    (job,) = home.json("get", "jobs")
    assert job["status"]["runs"] == 1, "another threshold trains nothing"

    project.edit("shipway.yaml", '{THRESHOLD: "0.8"}', '{THRESHOLD: "8"}')
    assert "THRESHOLD is 8; it must lie between 0 and 1" in told(home.shipway("up", project.folder))
    assert (answers(home, x)[1] == stricter).all(), "what served goes on"


def answers(home: Home, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    output = post(f"{home.url('logistic')}/predict", {"input": x.tolist()}).json()["output"]
    return np.array(output["probability"]), np.array(output["malignant"])
