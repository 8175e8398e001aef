"""The signature and the sample beside a model's files: written by training, read by the server."""

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

import shipway
from shipway.models import signatures
from shipway.runtime import describe
from shipway.runtime.errors import ModelRefused
from shipway.runtime.recording import Recorded, contradiction, fitted, read, save, write
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.settings import Settings
from shipway.runtime.signature import Signature, Tensor
from tests.runtime.conftest import Digits

X = np.arange(8.0).reshape(2, 4)
PIXELS = Tensor("pixels", "FP32", (-1, 4))


def test_what_is_saved_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path))
    shipway.save_sample({"x": X, "text": ["a", "b\0c"]}, y=np.zeros(2, np.int64))
    found = read(tmp_path)
    assert found.by == "sample"
    assert found.signature.inputs == (Tensor("x", "FP64", (-1, 4)), Tensor("text", "BYTES", (-1,)))
    assert found.signature.outputs == (Tensor("output", "INT64", (-1,)),)
    assert np.array_equal(found.inputs["x"], X)
    assert found.inputs["text"].tolist() == ["a", "b\0c"]
    assert found.outputs["output"].tolist() == [0, 0]


def test_the_platform_reads_what_the_runtime_writes(tmp_path: Path) -> None:
    save(tmp_path, X, None)
    found = signatures.parse((tmp_path / signatures.FILE).read_bytes())
    assert found is not None
    assert found.model_dump(mode="json") == {
        "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [],
    }


def test_a_sample_is_cut_and_a_second_replaces_the_first(tmp_path: Path) -> None:
    save(tmp_path, {"a": np.zeros((100, 2))}, None)
    save(tmp_path, np.zeros((100, 3), np.float32), None)
    assert {name: array.shape for name, array in read(tmp_path).inputs.items()} == {"input": (64, 3)}


@pytest.mark.parametrize(
    ("x", "error"), [(3.0, ValueError), ([], ValueError), ({}, ValueError), ([object()], TypeError)]
)
def test_a_sample_is_rows(tmp_path: Path, x: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        save(tmp_path, x, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("signature.json", b"{"),
        ("signature.json", b"[]"),
        ("signature.json", b'{"by": "model", "inputs": [{"name": "x"}], "outputs": []}'),
        ("signature.json", b'{"by": "model", "inputs": [{"name": "x", "datatype": "?", "shape": []}], "outputs": []}'),
        ("sample.npz", b"no zip"),
        ("sample.npz", b"PK\x03\x04"),
    ],
)
def test_what_is_damaged_counts_as_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    save(tmp_path, X, None)
    (tmp_path / ".shipway" / name).write_bytes(content)
    assert read(tmp_path) == Recorded()
    assert "is ignored" in capsys.readouterr().err


def test_a_pickle_in_the_sample_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / ".shipway").mkdir()
    np.savez(tmp_path / ".shipway" / "sample.npz", allow_pickle=True, **{"x/input": np.array([{}], object)})
    assert read(tmp_path).inputs == {}


@pytest.mark.parametrize(
    ("sample", "tensors", "shape"),
    [
        ({"input": X}, (PIXELS,), (2, 4)),
        ({"input": X}, (Tensor("one", "FP32", (1, 4)),), (1, 4)),
        ({"input": X.astype(int)}, (PIXELS,), (2, 4)),
        ({"input": X}, (Tensor("x", "INT64", (-1, 4)),), None),
        ({"input": X}, (Tensor("x", "FP32", (-1, 5)),), None),
        ({"input": X}, (Tensor("x", "BYTES", (-1, 4)),), None),
        ({"a": X, "b": X}, (PIXELS,), None),
        ({}, (PIXELS,), None),
        ({"a": X}, (), None),
    ],
)
def test_a_sample_fits_or_not(sample: Any, tensors: tuple[Tensor, ...], shape: tuple[int, ...] | None) -> None:
    found = fitted(sample, tensors)
    assert (found and next(iter(found.values())).shape) == shape
    assert found is None or next(iter(found.values())).dtype == np.float32


@pytest.mark.parametrize(
    ("recorded", "loaded", "words"),
    [
        (Signature((PIXELS,)), Signature((PIXELS,)), ""),
        (Signature(), Signature((PIXELS,)), ""),
        (Signature((PIXELS,)), Signature(), ""),
        (Signature((PIXELS,)), Signature((Tensor("pixels", "FP32", (-1, -1)),)), ""),
        (Signature((), (Tensor("y", "FP32", (-1,)),)), Signature((), (Tensor("y", "FP16", (-1,)),)), ""),
        (Signature((), (PIXELS,)), Signature((), (PIXELS, Tensor("more", "FP32", (-1,)))), ""),
        (Signature((PIXELS,)), Signature((Tensor("pixels", "FP64", (-1, 4)),)), "inputs were pixels FP32 [-1, 4]"),
        (Signature((PIXELS,)), Signature((Tensor("pixels", "FP32", (-1, 5)),)), "and are pixels FP32 [-1, 5]"),
        (Signature((PIXELS,)), Signature((Tensor("x", "FP32", (-1, 4)),)), "and are x"),
        (Signature((PIXELS,)), Signature((PIXELS, Tensor("mask", "BOOL", (-1,)))), "mask BOOL"),
        (Signature((), (PIXELS,)), Signature((), (Tensor("y", "FP32", (-1, 4)),)), "outputs were pixels"),
    ],
)
def test_what_contradicts(recorded: Signature, loaded: Signature, words: str) -> None:
    found = contradiction(recorded, loaded)
    assert words in found
    assert bool(found) is bool(words)


def _trained(tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> Path:
    joblib.dump(digits.model, tmp_path / "model.joblib")
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path))
    return tmp_path


def test_what_a_job_left_is_described(tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _trained(tmp_path, digits, monkeypatch)
    save(folder, digits.x[:3].astype(np.float32), None)
    describe.main()
    found = read(folder)
    assert (found.by, found.inputs["input"].dtype.name) == ("model", "float64")
    assert str(found.signature) == "inputs: input FP64 [-1, 64]; outputs: label INT64 [-1], probabilities FP64 [-1, 10]"
    model = load(Settings(model_dir=folder, allow_pickle=True))
    assert model.signature == found.signature
    warm = model.warmup_inputs()
    assert warm is not None
    assert np.array_equal(warm["input"], digits.x[:1].astype(np.float32))


@pytest.mark.parametrize("files", [[], ["weights.bin"], ["a.onnx", "b.onnx"], ["model.pt"]])
def test_what_only_a_predictor_can_open_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path))
    describe.main()
    assert not (tmp_path / ".shipway").exists()
    assert capsys.readouterr().err == ""


def test_a_model_that_cannot_be_opened_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.joblib").write_bytes(b"\x80\x04")
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path))
    describe.main()
    assert capsys.readouterr().err.startswith("shipway: the version gets no signature: model.joblib (")


def test_another_model_than_was_packed_is_refused(
    tmp_path: Path, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _trained(tmp_path, digits, monkeypatch)
    write(folder, Recorded("model", Signature((Tensor("input", "FP64", (-1, 32)),))))
    with pytest.raises(ModelRefused, match=r"model\.joblib is not what was recorded.*\[-1, 32\].*and are.*\[-1, 64\]"):
        load(Settings(model_dir=folder, allow_pickle=True))


PREDICTOR = """
from shipway import Predictor
class P(Predictor):
    def load(self, model_dir): self.seen = []
    def predict(self, x, parameters=None):
        self.seen.append(x)
        return {"sum": x.sum(axis=1), "scale": [(parameters or {}).get("scale", 1)] * len(x)}
"""


def test_a_predictor_for_a_format_of_ones_own_is_warmed_with_the_sample(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PREDICTOR)
    save(tmp_path, X, None)
    model = load(Settings(model_dir=tmp_path, predictor=f"{tmp_path}/own.py:P"))
    assert model.signature.inputs == (Tensor("input", "FP64", (-1, 4)),)
    warm = model.warmup_inputs()
    assert warm is not None
    assert warm["input"].tolist() == [[0, 1, 2, 3]]
    write(tmp_path, Recorded("model", Signature((PIXELS,))))  # of the file; what the predictor takes is its own affair
    assert load(Settings(model_dir=tmp_path, predictor=f"{tmp_path}/own.py:P")).signature.inputs == ()


def test_describing_nothing_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys; from shipway.runtime import describe; describe.main(); print(sorted(sys.modules))"
    env = {**os.environ, "SHIPWAY_OUTPUT_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert not {"numpy", "sklearn", "msgspec"} & set(json.loads(done.stdout.replace("'", '"')))
