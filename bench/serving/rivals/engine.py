"""The model itself, the same for every server: scikit-learn, onnxruntime, or code that takes a fixed time."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Infer = Callable[[Any], Any]
"""Rows in, the first output out: arrays, one row of the answer for each row given."""


def open_engine() -> tuple[Infer, type]:
    """The model of ``MODEL_FILE`` and the NumPy type of its input."""
    path = Path(os.environ["MODEL_FILE"])
    numpy = import_module("numpy")
    if path.suffix == ".joblib":
        return import_module("joblib").load(path).predict, numpy.float64
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1  # small models: a second thread costs more than it brings
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    outputs = [session.get_outputs()[0].name]
    name = session.get_inputs()[0].name
    return (lambda rows: session.run(outputs, {name: rows})[0]), numpy.float32
