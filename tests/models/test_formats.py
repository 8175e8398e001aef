"""The format of a folder, from names and first bytes; and that the runtime serves what is said here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shipway import formats
from shipway.runtime.errors import ModelRefused
from shipway.runtime.formats import find

_NAMES = {
    "onnx": "onnx",
    "skops": "sklearn-skops",
    "export": "torch-export",
    "torchscript": "torchscript",
    "pickle": "sklearn-joblib",
    "torch": "pytorch",
}


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
        (["model.pt2"], "torch-export"),
        (["model.ts"], "torchscript"),
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
    [
        ("sklearn-joblib", True),
        ("pytorch", True),
        ("torch-export", True),
        ("torchscript", True),
        ("sklearn-skops", False),
        ("onnx", False),
        ("custom", False),
    ],
)
def test_which_formats_run_code_when_loaded(format: str, expected: bool) -> None:
    assert formats.is_pickle(format) is expected


@pytest.mark.parametrize(
    ("names", "served"),
    [
        (["model.onnx", "model.skops", "model.joblib"], "model.onnx"),
        (["model.skops", "model.joblib"], "model.skops"),
        (["a.skops", "b.onnx"], "b.onnx"),
        (["scaler.onnx", "model.skops"], "model.skops"),
        (["scaler.skops", "model.joblib"], "model.joblib"),
        (["scaler.onnx", "model.pkl"], "model.pkl"),
        (["scaler.onnx", "model.pickle"], "model.pickle"),
        (["Model.onnx", "model.pkl"], "model.pkl"),
        (["MODEL.ONNX", "other.joblib"], "MODEL.ONNX"),
        (["a.onnx", "model.PKL"], "model.PKL"),
        (["deep/model.onnx", "other.joblib"], "other.joblib"),
        ([".model.onnx", "other.joblib"], "other.joblib"),
        (["model.safetensors", "scaler.joblib"], "scaler.joblib"),
        (["model.pt", "other.onnx"], "other.onnx"),
        (["model.pt"], "model.pt"),
        (["weights.PTH"], "weights.PTH"),
        (["other.pt", "model.pth"], "model.pth"),
        (["model.pt", "other.pt2"], "other.pt2"),
        (["model.pt2", "model.ts", "model.joblib"], "model.pt2"),
        (["model.ts", "other.onnx"], "model.ts"),
        (["model.pt", "weights.safetensors"], "model.pt"),
        (["model.pt", "model.keras"], "model.pt"),
        (["model.onnx.pkl", "other.skops"], "other.skops"),
        (["model.tar.joblib"], "model.tar.joblib"),
    ],
)
def test_the_runtime_opens_what_the_version_is_said_to_be(
    output: Callable[..., Path], names: list[str], served: str
) -> None:
    file = find(output(dict.fromkeys(names, b"")))
    format = formats.detect(dict.fromkeys(names, b""))
    assert file.path.name == served
    assert format == _NAMES[file.format]
    assert formats.is_pickle(format) is (file.format not in ("onnx", "skops"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.joblib", "model.pkl"], "sklearn-joblib"),  # which of the two is not clear
        (["deep/model.joblib"], "sklearn-joblib"),
        (["model.json", "deep/weights.joblib"], "sklearn-joblib"),
        (["model.json", "weights.safetensors"], "safetensors"),
        (["deep/model.pt"], "pytorch"),
        (["deep/model.pt", "weights.safetensors"], "safetensors"),
        (["a.pt", "b.pt"], "pytorch"),
        (["model.bin"], "custom"),
        (["model.txt"], "custom"),
    ],
)
def test_what_the_runtime_does_not_open_has_a_format_too(
    output: Callable[..., Path], names: list[str], expected: str
) -> None:
    with pytest.raises(ModelRefused):
        find(output(dict.fromkeys(names, b"")))
    assert formats.detect(dict.fromkeys(names, b"")) == expected
