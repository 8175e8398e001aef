"""Model files: which one a folder holds, by its name, and how it is opened. Heavy libraries load on demand.

A pickle runs any code that its maker put in it, so one is opened only when the platform says that it was
made here, or the owner says ``allowPickle: true``.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from shipway.runtime.errors import ModelRefused

Format = Literal["onnx", "skops", "pickle"]

# In the order of preference where one model was saved in several formats: no code in the file comes first.
# shipway/formats.py names a version's format by the same rules; tests/models/test_formats.py compares the two.
_SUFFIXES: dict[str, Format] = {
    ".onnx": "onnx",
    ".skops": "skops",
    ".joblib": "pickle",
    ".pkl": "pickle",
    ".pickle": "pickle",
}
_RANKS: tuple[Format, ...] = ("onnx", "skops", "pickle")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file and the format that its name says."""

    path: Path
    format: Format


def find(model_dir: Path) -> ModelFile:
    """The model's file: ``model.*`` before other names, ONNX before skops before pickle.

    Raises ModelRefused when there is none, or when it is not clear which.
    """
    found = sorted(
        ((path.stem != "model", _RANKS.index(format_), path) for path, format_ in _candidates(model_dir)),
    )
    if not found:
        listing = ", ".join(sorted(path.name for path in model_dir.iterdir())[:10]) if model_dir.is_dir() else ""
        raise ModelRefused(
            f"no model file in {model_dir} (it holds: {listing or 'nothing'}): save one as model.onnx, "
            "model.skops or model.joblib, or name a predictor"
        )
    equal = [path.name for *rank, path in found if rank == list(found[0][:2])]
    if len(equal) > 1:
        raise ModelRefused(f"{', '.join(equal)}: several models; call one of them model.*, or name a predictor")
    path = found[0][2]
    return ModelFile(path, _SUFFIXES[path.suffix.lower()])


def open_model(file: ModelFile, *, allow_pickle: bool) -> Any:
    """The model as its own library gives it: an estimator, or an ``onnxruntime.InferenceSession``.

    Raises ModelRefused: a pickle that is not allowed, a file that is cut off, a library that is missing.
    """
    opener = {"onnx": _open_onnx, "skops": _open_skops, "pickle": _open_pickle}[file.format]
    try:
        return opener(file.path, allow_pickle)
    except ModelRefused:
        raise
    except ImportError as error:
        raise ModelRefused(f"{file.path.name}: {error}; add what is missing to the service's requirements") from error
    except Exception as error:  # unpicklers and parsers raise whatever they trip over
        size = file.path.stat().st_size
        raise ModelRefused(
            f"{file.path.name} ({size} bytes) is cut off or damaged, or not a {file.format} file: "
            f"{type(error).__name__}: {error}"
        ) from error


def _candidates(model_dir: Path) -> list[tuple[Path, Format]]:
    if not model_dir.is_dir():
        return []
    files = (path for path in model_dir.iterdir() if path.is_file() and not path.name.startswith("."))
    return [(path, _SUFFIXES[path.suffix.lower()]) for path in files if path.suffix.lower() in _SUFFIXES]


def _open_pickle(path: Path, allow_pickle: bool) -> Any:
    if not allow_pickle:
        raise ModelRefused(
            f"{path.name} is a pickle of unknown origin, and opening a pickle runs any code in it: say "
            "`allowPickle: true` in the service if you trust its maker, or save the model with skops or as ONNX"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # between joblib and NumPy 2.5: says nothing of the model
        model = import_module("joblib").load(path)
    for one in caught:
        text = " ".join(str(one.message).split())
        print(f"warning: {path.name}: {text}", file=sys.stderr)
    return model


def _open_skops(path: Path, allow_pickle: bool) -> Any:
    io = import_module("skops.io")
    unknown = io.get_untrusted_types(file=path)
    if unknown and not allow_pickle:
        raise ModelRefused(
            f"{path.name} holds types that skops does not know to be safe ({', '.join(unknown)}): say "
            "`allowPickle: true` in the service if you trust its maker"
        )
    return io.load(path, trusted=unknown)


def _open_onnx(path: Path, _allow_pickle: bool) -> Any:
    runtime = import_module("onnxruntime")
    return runtime.InferenceSession(str(path), providers=runtime.get_available_providers())
