"""The models that are served, with the rows that are sent to them and the answers that are right."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.home import ROOT
from bench.serving.dialects import Array
from bench.serving.environments import Environment

_MAKER = ROOT / "bench" / "serving" / "models.py"


@dataclass(frozen=True, slots=True)
class Payload:
    """``output``: the name of the model's first output, ``file``: of the model in ``folder``."""

    name: str
    folder: Path
    file: str
    output: str
    rows: list[Array]
    answers: list[Array]


@dataclass(frozen=True, slots=True)
class Payloads:
    """Every model that models.py makes, in one folder."""

    folder: Path

    def digits(self, engine: str) -> Payload:
        """Logistic regression on digits, ``sklearn`` or ``onnx``; 256 rows."""
        file = "model.joblib" if engine == "sklearn" else "model.onnx"
        return self._read(f"digits-{engine}", file, "label")

    def mlp(self) -> Payload:
        """784-500-10 in ONNX; 256 rows."""
        return self._read("mlp", "model.onnx", "output")

    def mean(self) -> Payload:
        """The mean of an image 3x224x224 in ONNX; 16 images."""
        return self._read("mean", "model.onnx", "output")

    def _read(self, name: str, file: str, output: str) -> Payload:
        rows = np.load(self.folder / f"{name}.rows.npy")
        answers = np.load(self.folder / f"{name}.answers.npy")
        return Payload(
            name, self.folder / name, file, output, [rows[n : n + 1] for n in range(len(rows))], list(answers)
        )


def make(ours: Environment, folder: Path) -> Payloads:
    """Train and write the models, in the environment that has the libraries."""
    done = subprocess.run(
        [ours.python, _MAKER, folder],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{_MAKER.name} ended with {done.returncode}:\n{done.stderr}")
    return Payloads(folder)
