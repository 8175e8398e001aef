"""The format of a model, from its files. Pure: names and first bytes decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

HEAD = 8  # first bytes of a file that are looked at

# In order: of two formats in one folder the earlier is the one that is meant for serving.
_SUFFIXES = {
    "onnx": (".onnx",),
    "sklearn-skops": (".skops",),
    "torch-export": (".pt2",),
    "torchscript": (".ts",),
    "sklearn-joblib": (".joblib", ".pkl", ".pickle"),
    "safetensors": (".safetensors",),
    "gguf": (".gguf",),
    "keras": (".keras", ".h5", ".hdf5"),
    "xgboost": (".ubj",),
    "tensorflow": (".pb",),
    "pytorch": (".pt", ".pth"),
}
_RANKS = [*_SUFFIXES]
_SERVED = frozenset({"onnx", "sklearn-skops", "torch-export", "torchscript", "sklearn-joblib"})
_PERHAPS = frozenset({"pytorch"})  # TorchScript is opened; weights alone need a predictor that has the network
_GGUF, _ZIP, _PICKLE = b"GGUF", b"PK\x03\x04", b"\x80"


def detect(heads: Mapping[str, bytes]) -> str:
    """The format of files given as name to first :data:`HEAD` bytes; ``custom`` when none is known."""
    return next((format for _, format in models(heads)), "custom")


def models(heads: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Name and format of each file that is a model's, the best first; files as in :func:`detect`.

    The first is the file that the runtime will open (runtime/formats.py): the pickle that is loaded must not pass for
    the ONNX file beside it. Where it would open none, the order of the formats decides.
    """
    found = [(name, format) for name, head in heads.items() if (format := _of_file(name, head))]
    return sorted(found, key=lambda one: (*_rank(PurePosixPath(one[0]), one[1]), one[0]))


def is_served(format: str) -> bool:
    """Whether the runtime opens the format by itself; any other needs a predictor (``pytorch``: unless it is
    TorchScript, which its first bytes do not tell)."""
    return format in _SERVED


def is_pickle(format: str) -> bool:
    """Whether loading the format runs code of whoever wrote the file (runtime/formats.py says why)."""
    return format in ("sklearn-joblib", "torch-export", "torchscript", "pytorch")


def _rank(path: PurePosixPath, format: str) -> tuple[int, bool, int]:
    named = len(path.parts) == 1 and not path.name.startswith(".")
    perhaps = format in _PERHAPS and path.suffix.lower() in _SUFFIXES[format]
    order = 0 if named and format in _SERVED else 1 if named and perhaps else 2
    return order, order < 2 and path.stem != "model", _RANKS.index(format)


def _of_file(name: str, head: bytes) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".bin":  # llama.cpp and PyTorch both call their weights so
        if head.startswith(_GGUF):
            return "gguf"
        return "pytorch" if head.startswith((_ZIP, _PICKLE)) else None
    return next((format for format, suffixes in _SUFFIXES.items() if suffix in suffixes), None)
