"""A folder with a model and its sample, before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from shipway.runtime import sdk
from shipway.runtime.optimize.compare import Tolerance
from shipway.runtime.optimize.run import MODEL, Options, optimize
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import call
from shipway.runtime.server.settings import Settings

pytestmark = [
    pytest.mark.extras,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
TRUSTED = Options(allow_pickle=True)


def folder_of(tmp_path: Path, estimator: Any, x: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "version"
    folder.mkdir()
    joblib.dump(estimator, folder / "model.joblib")
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(folder))
    sdk.save_sample(x[:64])
    return folder


@pytest.fixture(scope="module")
def logistic() -> Any:
    x, y = load_digits(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(x / 16, y), x / 16


@pytest.fixture(scope="module")
def forest() -> Any:
    x, y = load_diabetes(return_X_y=True)
    return RandomForestRegressor(20, random_state=0).fit(x, y), x


def served(folder: Path, x: Any) -> tuple[str, Any]:
    model = load(Settings(model_dir=folder, allow_pickle=True))
    return model.format, call(model, Call({"input": x})).outputs


def test_what_is_faster_and_the_same_is_served(tmp_path: Path, logistic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, x = logistic
    folder = folder_of(tmp_path, estimator, x, monkeypatch)
    before, answers = served(folder, x)
    verdict = optimize(folder, TRUSTED)
    assert verdict.taken, verdict.reason
    after, same = served(folder, x)
    assert (before, after) == ("scikit-learn", "onnxruntime")
    assert (same["label"] == answers["label"]).all()
    assert np.allclose(same["probabilities"], answers["probabilities"], rtol=1e-12)
    report = json.loads((folder / ".shipway" / "optimization.json").read_bytes())
    assert report["taken"] and [one["rows"] for one in report["seconds"]] == [1, 64]


def test_other_answers_leave_the_original(tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, x = forest
    folder = folder_of(tmp_path, estimator, x, monkeypatch)
    verdict = optimize(folder, TRUSTED)
    assert not verdict.taken and verdict.reason.startswith("kept the original: the answers differ (prediction: ")
    assert not (folder / MODEL).exists()
    assert served(folder, x)[0] == "scikit-learn"
    assert not json.loads((folder / ".shipway" / "optimization.json").read_bytes())["taken"]


def test_nothing_to_compare_on(tmp_path: Path, logistic: Any) -> None:
    joblib.dump(logistic[0], tmp_path / "model.joblib")
    verdict = optimize(tmp_path, TRUSTED)
    assert verdict.reason == (
        "kept the original: nothing to compare on: call shipway.save_sample(x) in the training code"
    )
    assert not (tmp_path / MODEL).exists()


def test_quantized_is_compared_too(tmp_path: Path, logistic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, x = logistic
    folder = folder_of(tmp_path, estimator, x, monkeypatch)
    assert optimize(folder, TRUSTED).taken
    verdict = optimize(folder, Options(Tolerance(rtol=0, atol=0), quantize="int8"))
    assert not verdict.taken, "the linear classifier has no weights that quantization knows: nothing is gained"


def test_a_job_of_its_own_copies_the_version(tmp_path: Path, forest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, forest[0], forest[1], monkeypatch)
    output = tmp_path / "output"
    environment = {
        **os.environ,
        "SHIPWAY_OUTPUT_DIR": str(output),
        "SHIPWAY_INPUTS": json.dumps({"model": str(folder)}),
        "SHIPWAY_PARAMS": '{"share": 1.0}',
        "SHIPWAY_ALLOW_PICKLE": "1",
    }
    command = [sys.executable, "-m", "shipway.runtime.optimize"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    taken = run()
    assert taken.returncode == 0, taken.stderr
    assert "shipway: optimize: taken: " in taken.stderr and '"gain": ' in taken.stdout
    assert sorted(one.name for one in output.iterdir()) == [".shipway", "model.joblib", "model.onnx"]
    environment |= {"SHIPWAY_PARAMS": "{}", "SHIPWAY_OUTPUT_DIR": str(tmp_path / "other")}
    kept = run()
    assert kept.returncode == 1
    assert kept.stderr.splitlines()[-1].startswith("shipway: optimize: kept the original: the answers differ")
    del environment["SHIPWAY_ALLOW_PICKLE"]
    environment |= {"SHIPWAY_OUTPUT_DIR": str(tmp_path / "third")}
    closed = run()
    assert closed.returncode == 1
    assert "kept the original: model.joblib is a pickle of unknown origin" in closed.stderr.splitlines()[-1]
