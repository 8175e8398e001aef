"""Model files: which one a folder holds, by its name, and how it is opened. Heavy libraries load on demand.

A pickle runs any code that its maker put in it, so one is opened only when the platform says that it was
made here, or the owner says ``allowPickle: true``. The same holds for PyTorch's programs: ``torch.export.load``
unpickles constants without restriction (torch 2.13, export/pt2_archive/_package.py), and TorchScript is a program that
may read and write files (``aten::from_file``; https://github.com/pytorch/pytorch/blob/main/SECURITY.md, "Using
models"). Weights alone (a ``state_dict``) are opened with ``weights_only=True``, always.
"""

from __future__ import annotations

import sys
import warnings
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from shipway.runtime.errors import ModelRefused

Format = Literal["onnx", "skops", "export", "torchscript", "pickle", "torch"]

# In the order of preference where one model was saved in several formats: no code in the file comes first.
# shipway/formats.py names a version's format by the same rules; tests/models/test_formats.py compares the two.
_SUFFIXES: dict[str, Format] = {
    ".onnx": "onnx",
    ".skops": "skops",
    ".pt2": "export",
    ".ts": "torchscript",
    ".joblib": "pickle",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".pt": "torch",  # TorchScript, or the weights of a network whose code is elsewhere: its content tells
    ".pth": "torch",
}
_RANKS: tuple[Format, ...] = ("onnx", "skops", "export", "torchscript", "pickle", "torch")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file and the format that its name says."""

    path: Path
    format: Format


def find(model_dir: Path) -> ModelFile:
    """The model's file: ``model.*`` before other names, then in the order of the formats, ONNX first. ``.pt`` and
    ``.pth``, which may be weights without a network, only when there is nothing else.

    Raises ModelRefused when there is none, or when it is not clear which.
    """
    found = sorted(
        (format_ == "torch", path.stem != "model", _RANKS.index(format_), path) for path, format_ in _named(model_dir)
    )
    if not found:
        listing = ", ".join(sorted(path.name for path in model_dir.iterdir())[:10]) if model_dir.is_dir() else ""
        raise ModelRefused(
            f"no model file in {model_dir} (it holds: {listing or 'nothing'}): save one as model.onnx, "
            "model.skops, model.pt2 or model.joblib, or name a predictor"
        )
    equal = [path.name for *rank, path in found if rank == list(found[0][:-1])]
    if len(equal) > 1:
        raise ModelRefused(f"{', '.join(equal)}: several models; call one of them model.*, or name a predictor")
    path = found[0][-1]
    return ModelFile(path, _SUFFIXES[path.suffix.lower()])


def needs_code_elsewhere(file: ModelFile) -> bool:
    """Whether it holds weights alone, of a network that only a predictor can build."""
    return file.format == "torch" and not _is_script(file.path)


def open_model(file: ModelFile, *, allow_pickle: bool, threads: int = 0) -> Any:
    """The model as its own library gives it: an estimator, an ``onnxruntime.InferenceSession``, a
    ``torch.export.ExportedProgram``, a ``torch.jit.ScriptModule``, or (weights alone) a mapping of tensors by name.

    ``threads``: of one call, where the library has threads of its own; 0 leaves that to the library.
    Raises ModelRefused: code that is not allowed, a file that is cut off, a library that is missing.
    """
    try:
        return _opened(file, allow_pickle, threads)
    except ModelRefused:
        raise
    except ImportError as error:
        raise ModelRefused(f"{file.path.name}: {error}; add what is missing to the service's requirements") from error
    except Exception as error:  # unpicklers and parsers raise whatever they trip over
        size = file.path.stat().st_size
        reason = " ".join(str(error).split())
        raise ModelRefused(
            f"{file.path.name} ({size} bytes) is cut off or damaged, or not a {file.format} file: "
            f"{type(error).__name__}: {reason}"
        ) from error


def _named(model_dir: Path) -> list[tuple[Path, Format]]:
    if not model_dir.is_dir():
        return []
    files = (path for path in model_dir.iterdir() if path.is_file() and not path.name.startswith("."))
    return [(path, _SUFFIXES[path.suffix.lower()]) for path in files if path.suffix.lower() in _SUFFIXES]


def _opened(file: ModelFile, allow_pickle: bool, threads: int) -> Any:
    path = file.path
    match file.format:
        case "onnx":
            return _open_onnx(path, threads)
        case "skops":
            return _open_skops(path, allow_pickle)
        case "pickle":
            _allow(path, "a pickle", "save the model with skops or as ONNX", allow_pickle)
            return _open_pickle(path)
        case "export":
            _allow(path, "a PyTorch program", "save the model as ONNX", allow_pickle)
            return _torch(threads).export.load(path)
        case "torchscript" | "torch":
            return _open_torch(path, allow_pickle, threads)


def _allow(path: Path, what: str, otherwise: str, allow_pickle: bool) -> None:
    if not allow_pickle:
        raise ModelRefused(
            f"{path.name} is {what} of unknown origin, and opening it runs any code in it: say "
            f"`allowPickle: true` in the service if you trust its maker, or {otherwise}"
        )


def _open_pickle(path: Path) -> Any:
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


def _open_onnx(path: Path, threads: int) -> Any:
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that waits by spinning takes the core from the event loop and from what else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # In every wheel is a provider that calls Azure; it is not for models that lie here.
    providers = [one for one in runtime.get_available_providers() if one != "AzureExecutionProvider"]
    return runtime.InferenceSession(str(path), options, providers=providers)


def _open_torch(path: Path, allow_pickle: bool, threads: int) -> Any:
    if not _is_script(path):
        return _torch(threads).load(path, map_location="cpu", weights_only=True)
    _allow(path, "a TorchScript program", "save the model as ONNX", allow_pickle)
    torch = _torch(threads)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # torch 2.13 advises torch.export; the file is there already
        return torch.jit.load(path, map_location="cpu").eval()


def _is_script(path: Path) -> bool:
    """Whether it is a zip with code in it: ``torch.save`` writes the same container with data alone."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[1:2] == ["code"] for name in archive.namelist())


def _torch(threads: int) -> Any:
    torch = import_module("torch")
    if threads:
        torch.set_num_threads(threads)
    return torch
