"""PyTorch's own formats, served from the file alone, in an environment that Shipway makes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import ROOT, Home, fresh_home, post

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.extras, pytest.mark.thorough, pytest.mark.timeout(600)]

PROJECT = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: pixels}
spec:
  requirements: [numpy==2.4.6, torch==2.13.0]
  command: [python, train.py]
  model: pixels
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: pixels}
spec:
  requirements: [numpy==2.4.6, torch==2.13.0]
  model: pixels
"""
TRAIN = """
import torch
from shipway import output_dir, save_sample

class Sums(torch.nn.Module):
    def forward(self, x):
        return {"sum": x.sum(1), "twice": x * 2}

rows = torch.export.Dim("rows")
program = torch.export.export(Sums(), (torch.zeros(3, 4),), dynamic_shapes={"x": {0: rows}})
torch.export.save(program, output_dir() / "model.pt2")
save_sample(torch.ones(5, 4))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with fresh_home() as made:
        folder = made.projects / "pixels"
        folder.mkdir(parents=True)
        (folder / "shipway.yaml").write_text(PROJECT)
        (folder / "train.py").write_text(TRAIN)
        made.ok("up", folder, timeout=500.0)
        yield made


def test_a_program_is_served_without_a_predictor(home: Home) -> None:
    url = home.url("pixels")
    answer = post(f"{url}/predict", {"input": [[1, 2, 3, 4], [0, 0, 0, 1]]})
    assert (answer.status, answer.json()["output"]["sum"]) == (200, [10, 1])
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
    answer = post(f"{url}/v2/models/pixels/infer", {"inputs": [tensor]})
    assert (answer.status, "4" in answer.text) == (400, True)


def test_its_signature_is_recorded(home: Home) -> None:
    (version,) = home.json("get", "model", "pixels")["status"]["versions"]
    assert version["format"] == "torch-export"
    assert version["signature"] == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "sum", "datatype": "FP32", "shape": [-1]},
            {"name": "twice", "datatype": "FP32", "shape": [-1, 4]},
        ],
    }
    shown = home.ok("models", "show", "pixels:1")
    assert "takes" in shown
    assert "x FP32 [-1, 4]" in shown


def test_the_cases_of_its_formats(home: Home, tmp_path: Path) -> None:
    (python,) = (home.path / "cache" / "environments").glob("*/bin/python")
    command = [python, ROOT / "tests/runtime/loading/torch_cases.py", tmp_path]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
