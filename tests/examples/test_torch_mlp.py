"""examples/torch-mlp: the service answers as the network does, from a CPU build where pip is configured for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from packaging.utils import canonicalize_name
from sklearn.datasets import load_digits

from tests.e2e.home import EXAMPLES, ROOT, Home, post

FOLDER = EXAMPLES / "torch-mlp"
TOLERANCE = 1e-5  # of a probability
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.extras, pytest.mark.timeout(600)]

# Run by the Python that Shipway made, in the example's folder: the packages there, and what the network itself says.
INSTALLED = "import importlib.metadata as m; print('\\n'.join(one.name for one in m.distributions()))"
ITSELF = """
import json, sys
import torch
from network import Network, pictures
network = Network()
network.load_state_dict(torch.load(sys.argv[1], weights_only=True))
with torch.inference_mode():
    print(json.dumps(network(pictures(torch.tensor(json.load(sys.stdin), dtype=torch.float32))).softmax(1).tolist()))
"""
HOSTILE = """
import pathlib, pickle, sys
import torch
from predictor import Digits
folder = pathlib.Path(sys.argv[1])
class Hostile:
    def __reduce__(self):
        return pathlib.Path.touch, (folder / "it-ran",)
torch.save({"hidden.weight": Hostile()}, folder / "model.pt")
try:
    Digits().load(folder)
except pickle.UnpicklingError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def python(home: Home) -> Path:
    """The interpreter of the environment that Shipway made for the job; the service shares it."""
    home.ok("up", FOLDER, timeout=500.0)
    (found,) = (home.path / "cache" / "environments").glob("*/bin/python")
    assert any(one.command.startswith(str(found)) for one in home.processes("replica")), "the service runs in it"
    return found


def test_it_answers_as_the_network_itself_does(home: Home, python: Path) -> None:
    scans, digits = load_digits(return_X_y=True)
    rows = scans[:500].tolist()
    output = post(f"{home.url('torch-mlp')}/predict", {"input": rows}).json()["output"]
    weights, *_ = home.path.rglob("model.pt")  # what the job left, and the unpacked version: the same bytes
    itself = np.array(json.loads(run(python, ITSELF, str(weights), stdin=json.dumps(rows))))
    assert np.abs(np.array(output["probabilities"]) - itself).max() < TOLERANCE
    assert output["digit"] == itself.argmax(axis=1).tolist()
    assert np.mean(output["digit"] == digits[:500]) > 0.95


def test_it_installs_what_pip_would_and_nothing_of_nvidia_with_a_cpu_build(python: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    runtime = ROOT / "src" / "shipway" / "runtime" / "requirements.txt"
    needed = ["-r", str(FOLDER / "requirements.txt"), "-r", str(runtime)]
    plan = ["--dry-run", "--quiet", "--ignore-installed", "--report", str(report)]
    subprocess.run([sys.executable, "-m", "pip", "install", *plan, *needed], check=True)
    pips = names(one["metadata"]["name"] for one in json.loads(report.read_text())["install"])
    assert names(run(python, INSTALLED).split()) == pips
    if any(one.startswith("nvidia") for one in pips):
        pytest.skip("pip is not configured for a CPU build here")
    lock = (python.parents[1] / "lock.txt").read_text().splitlines()
    assert not [one for one in lock if one.startswith("nvidia")]


def test_a_file_with_code_in_it_is_refused_and_not_run(python: Path, tmp_path: Path) -> None:
    assert "Weights only load failed" in run(python, HOSTILE, str(tmp_path))
    assert not (tmp_path / "it-ran").exists()


def names(distributions: Iterable[str]) -> set[str]:
    return {canonicalize_name(one) for one in distributions}


def run(python: Path, code: str, *arguments: str, stdin: str = "") -> str:
    command = [str(python), "-c", code, *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=FOLDER, env=variables, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
