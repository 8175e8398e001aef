"""The format of a model, from its files. Pure: names and first bytes decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

HEAD = 8  # first bytes of a file that are looked at

# In order: of two formats in one folder the earlier is the one that is meant for serving.
_SUFFIXES = {
    "sklearn-skops": (".skops",),
    "onnx": (".onnx",),
    "sklearn-joblib": (".joblib", ".pkl", ".pickle"),
    "safetensors": (".safetensors",),
    "gguf": (".gguf",),
    "keras": (".keras", ".h5", ".hdf5"),
    "xgboost": (".ubj",),
    "tensorflow": (".pb",),
    "pytorch": (".pt", ".pth"),
}
_GGUF, _ZIP, _PICKLE = b"GGUF", b"PK\x03\x04", b"\x80"


def detect(heads: Mapping[str, bytes]) -> str:
    """The format of files given as name to first :data:`HEAD` bytes; ``custom`` when none is known."""
    found = {_of_file(name, head) for name, head in heads.items()}
    return next((name for name in _SUFFIXES if name in found), "custom")


def is_pickle(format: str) -> bool:
    """Whether loading the format runs code of whoever wrote the file (pickle underneath)."""
    return format in ("sklearn-joblib", "pytorch")


def _of_file(name: str, head: bytes) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".bin":  # llama.cpp and PyTorch both call their weights so
        if head.startswith(_GGUF):
            return "gguf"
        return "pytorch" if head.startswith((_ZIP, _PICKLE)) else "custom"
    return next((format for format, suffixes in _SUFFIXES.items() if suffix in suffixes), "custom")
