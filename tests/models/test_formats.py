"""The format of a folder, from names and first bytes."""

from __future__ import annotations

import pytest

from shipway.models import formats


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.skops", "metrics.json"], "sklearn-skops"),
        (["model.onnx"], "onnx"),
        (["deep/er/MODEL.ONNX"], "onnx"),
        (["model.joblib"], "sklearn-joblib"),
        (["model.pkl"], "sklearn-joblib"),
        (["model.pickle"], "sklearn-joblib"),
        (["model.pt"], "pytorch"),
        (["model.pth"], "pytorch"),
        (["model-00001-of-00002.safetensors", "config.json"], "safetensors"),
        (["model.keras"], "keras"),
        (["model.h5"], "keras"),
        (["model.gguf"], "gguf"),
        (["model.ubj"], "xgboost"),
        (["saved_model.pb", "variables/variables.index"], "tensorflow"),
        (["weights.dat"], "custom"),
        (["model.joblib", "model.onnx"], "onnx"),
        (["model.pkl", "model.skops"], "sklearn-skops"),
        ([], "custom"),
    ],
)
def test_by_name(names: list[str], expected: str) -> None:
    assert formats.detect(dict.fromkeys(names, b"")) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"GGUF\3", "gguf"), (b"PK\x03\x04", "pytorch"), (b"\x80\x02", "pytorch"), (b"else", "custom"), (b"", "custom")],
)
def test_a_bin_by_its_first_bytes(head: bytes, expected: str) -> None:
    assert formats.detect({"model.bin": head}) == expected


@pytest.mark.parametrize(
    ("format", "expected"),
    [("sklearn-joblib", True), ("pytorch", True), ("sklearn-skops", False), ("onnx", False), ("custom", False)],
)
def test_which_formats_run_code_when_loaded(format: str, expected: bool) -> None:
    assert formats.is_pickle(format) is expected
