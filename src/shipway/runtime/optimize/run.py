"""Make the faster form of a folder's model, ask both for the recorded rows, time both, and keep the better one."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shipway.runtime import recording
from shipway.runtime.optimize.compare import Tolerance, compare
from shipway.runtime.optimize.export import CannotExport, quantized, sklearn_to_onnx, torch_to_onnx
from shipway.runtime.optimize.measure import timings
from shipway.runtime.optimize.verdict import Verdict, judge
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.loader import Opened, from_files
from shipway.runtime.server.loading.model import Model, call
from shipway.runtime.signature import Signature

MODEL, REPORT = "model.onnx", "optimization.json"
_SIZES = (1, 64)  # rows of a call that are timed: a lone request, and a full batch


@dataclass(frozen=True, slots=True)
class Options:
    """``quantize``: weights as 8-bit integers; say a tolerance with it. ``allow_pickle``: whether the original may run
    code when it is opened."""

    tolerance: Tolerance = field(default_factory=Tolerance)
    quantize: Literal["none", "int8"] = "none"
    allow_pickle: bool = False


def optimize(folder: Path, options: Options = Options()) -> Verdict:
    """Leave ``model.onnx`` in the folder when it is taken, and the numbers in ``.shipway/optimization.json`` always.

    Raises ModelRefused when the original cannot be opened.
    """
    with tempfile.TemporaryDirectory(prefix="shipway-optimize-") as scratch:
        verdict = _tried(folder, Path(scratch), options)
        if verdict.taken:
            shutil.copyfile(Path(scratch) / MODEL, folder / MODEL)
    notes = folder / recording.FOLDER
    notes.mkdir(exist_ok=True)
    (notes / REPORT).write_text(json.dumps(verdict.to_json(), indent=1) + "\n", "utf-8")
    return verdict


def _tried(folder: Path, scratch: Path, options: Options) -> Verdict:
    opened = from_files(folder, options.allow_pickle)
    original = opened.model
    sample = recording.fitted(recording.read(folder).inputs, original.signature.inputs)
    if not sample:
        return Verdict.kept("nothing to compare on: call shipway.save_sample(x) in the training code")
    expected = _answers(original, sample)
    original = original.learned(expected)
    try:
        (scratch / MODEL).write_bytes(_exported(opened, original.signature, sample, options, scratch))
    except CannotExport as problem:
        return Verdict.kept(str(problem))
    other = from_files(scratch, allow_pickle=False).model
    differences = compare(expected, _answers(other, sample), options.tolerance)
    timed = timings(lambda x: call(original, Call(x)), lambda x: call(other, Call(x)), sample, _sizes(original, sample))
    return judge(differences, timed, options.tolerance)


def _exported(
    opened: Opened, signature: Signature, sample: Mapping[str, Array], options: Options, scratch: Path
) -> bytes:
    file = opened.file
    if file.format == "onnx":
        data = file.path.read_bytes()
        if options.quantize == "none":
            raise CannotExport(f"{file.path.name} is ONNX already")
    else:
        convert = sklearn_to_onnx if file.format in ("pickle", "skops") else torch_to_onnx
        data = convert(opened.native, signature, sample)
    return quantized(data, scratch) if options.quantize == "int8" else data


def _answers(model: Model, sample: Mapping[str, Array]) -> Mapping[str, Array]:
    return call(model, Call(sample)).outputs


def _sizes(model: Model, sample: Mapping[str, Array]) -> tuple[int, ...]:
    return _SIZES if model.signature.batched else (Call(sample).rows,)
