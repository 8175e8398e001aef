"""examples/keras: one version holds `.keras` and `.h5`; both load, and answer alike."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.e2e.home import EXAMPLES, Home, post

FOLDER = EXAMPLES / "keras"
TOLERANCE = 1e-6  # of a probability: the same weights, read from two files


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.extras
@pytest.mark.timeout(600)
def test_both_files_answer_alike_and_right(home: Home) -> None:
    home.ok("up", FOLDER, timeout=500.0)
    scans, digits = load_digits(return_X_y=True)
    rows = {"input": scans[:500].tolist()}
    keras, h5 = (post(f"{home.url(name)}/predict", rows).json()["output"] for name in ("keras", "keras-h5"))
    assert np.abs(np.subtract(keras["probabilities"], h5["probabilities"])).max() < TOLERANCE
    assert keras["digit"] == h5["digit"]
    assert np.mean(keras["digit"] == digits[:500]) > 0.95
    shown = json.loads(home.ok("predict", "keras", "--file", FOLDER / "sample.json"))
    assert shown["output"]["digit"] == [0, 1, 2]
