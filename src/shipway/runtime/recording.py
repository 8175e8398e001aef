"""What is recorded beside a model's files when it is packed: its signature, and rows that it was trained to answer.

In a folder ``.shipway`` of the output, which goes where the version goes: ``signature.json``, ``{"by": ..., "inputs":
[{"name", "datatype", "shape"}], "outputs": [...]}``, and ``sample.npz``, arrays named ``x/INPUT`` and ``y/OUTPUT``.
``by`` says who knew: ``model``, the model itself when it was opened after training, or ``sample``, the rows that
training code saved.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec.tensors import DTYPES, datatype_of, presentable
from shipway.runtime.signature import Signature, Tensor

FOLDER = ".shipway"
ROWS = 64  # more are cut off
_SIGNATURE, _SAMPLE = "signature.json", "sample.npz"
_PARTS = ("inputs", "outputs")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What lay in the folder; empty where nothing did."""

    by: Literal["model", "sample", ""] = ""
    signature: Signature = field(default_factory=Signature)
    inputs: Mapping[str, Array] = field(default_factory=dict)
    outputs: Mapping[str, Array] = field(default_factory=dict)


def save(model_dir: Path, x: Any, y: Any) -> None:
    """What ``shipway.save_sample`` does."""
    inputs = _rows(x, "input")
    outputs = {} if y is None else _rows(y, "output")
    signature = Signature(_tensors(inputs), _tensors(outputs))
    write(model_dir, Recorded("sample", signature, inputs, outputs))


def write(model_dir: Path, recorded: Recorded) -> None:
    """Write both files; an empty sample is no file."""
    folder = model_dir / FOLDER
    folder.mkdir(exist_ok=True)
    signature = recorded.signature
    document = {
        "by": recorded.by,
        "inputs": [one.to_json() for one in signature.inputs],
        "outputs": [one.to_json() for one in signature.outputs],
    }
    (folder / _SIGNATURE).write_text(json.dumps(document) + "\n", "utf-8")
    named = [("x", recorded.inputs), ("y", recorded.outputs)]
    arrays = {f"{part}/{name}": _plain(array) for part, values in named for name, array in values.items()}
    if arrays:
        np.savez_compressed(folder / _SAMPLE, allow_pickle=False, **arrays)


def read(model_dir: Path) -> Recorded:
    """What was recorded. A file that cannot be understood counts as absent, and a line on stderr says so: the model
    itself may be whole."""
    folder = model_dir / FOLDER
    by: Literal["model", "sample", ""] = ""
    signature = Signature()
    inputs: dict[str, Array] = {}
    outputs: dict[str, Array] = {}
    try:
        if (folder / _SIGNATURE).is_file():
            document = json.loads((folder / _SIGNATURE).read_bytes())
            parts = [
                tuple(Tensor(**{**one, "shape": tuple(one["shape"])}) for one in document[part]) for part in _PARTS
            ]
            by, signature = "model" if document["by"] == "model" else "sample", Signature(*parts)
        if (folder / _SAMPLE).is_file():
            # Opened here: of a file that it cannot read, NumPy leaves it open.
            with (folder / _SAMPLE).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: presentable(file[name]) for name in file.files}
            inputs = {name[2:]: array for name, array in arrays.items() if name.startswith("x/")}
            outputs = {name[2:]: array for name, array in arrays.items() if name.startswith("y/")}
    except Exception as error:  # NumPy's and zip's readers raise whatever they trip over
        print(f"warning: {folder} is ignored: {type(error).__name__}: {error}", file=sys.stderr)
        return Recorded()
    return Recorded(by, signature, inputs, outputs)


def fitted(sample: Mapping[str, Array], tensors: tuple[Tensor, ...], rows: int = ROWS) -> dict[str, Array] | None:
    """The first rows of a sample as a model takes them, in its names and datatypes; None where they do not fit."""
    if len(sample) == len(tensors) == 1:
        sample = {tensors[0].name: next(iter(sample.values()))}
    if not tensors or {one.name for one in tensors} != set(sample):
        return None
    found: dict[str, Array] = {}
    for one in tensors:
        first = one.shape[0] if one.shape and one.shape[0] != -1 else rows
        array = sample[one.name][:first] if sample[one.name].ndim else sample[one.name]
        wanted = DTYPES[one.datatype]
        text = (array.dtype.kind == "O") != (wanted.kind == "O")  # NumPy would make objects of numbers
        if text or not one.takes(array.shape) or not np.can_cast(array.dtype, wanted, "same_kind"):
            return None
        found[one.name] = array.astype(wanted, copy=False)
    return found


def contradiction(recorded: Signature, loaded: Signature) -> str:
    """What a loaded model takes or gives otherwise than it did when it was packed, empty when nothing.

    It may give more outputs, and leave sizes open. FP16 and BF16, which some servers answer as FP32, count as FP32.
    """
    for kind, before, now in (
        ("input", recorded.inputs, loaded.inputs),
        ("output", recorded.outputs, loaded.outputs),
    ):
        if not before or not now:
            continue
        present = {one.name: one for one in now}
        gone = [one for one in before if one.name not in present]
        new = [one for one in now if kind == "input" and one.name not in {old.name for old in before}]
        other = [one for one in before if one.name in present and not _alike(one, present[one.name])]
        if gone or new or other:
            then, today = (", ".join(map(str, one)) for one in (before, now))
            return f"its {kind}s were {then} when it was packed, and are {today}"
    return ""


def _alike(one: Tensor, other: Tensor) -> bool:
    sizes = zip(one.shape, other.shape, strict=False)
    return (
        _width(one.datatype) == _width(other.datatype)
        and len(one.shape) == len(other.shape)
        and all(a == b or -1 in (a, b) for a, b in sizes)
    )


def _width(datatype: str) -> str:
    return "FP32" if datatype in ("FP16", "BF16") else datatype


def _rows(value: Any, name: str) -> dict[str, Array]:
    values = value if isinstance(value, Mapping) else {name: value}
    arrays = {str(key): presentable(one) for key, one in values.items()}
    bare = [key for key, array in arrays.items() if not array.ndim or not len(array)]
    if bare or not arrays:
        raise ValueError(f"a sample is rows: {', '.join(bare) or 'it'} has none; write [[1.0, 2.0]], not [1.0, 2.0]")
    return {key: array[:ROWS] for key, array in arrays.items()}


def _tensors(arrays: Mapping[str, Array]) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, datatype_of(array), (-1, *array.shape[1:])) for name, array in arrays.items())


def _plain(array: Array) -> Array:
    """Text as NumPy's own type: ``object`` would be a pickle."""
    if array.dtype.kind != "O":
        return array
    return array.astype(str if all(isinstance(one, str) for one in array.flat) else bytes)
