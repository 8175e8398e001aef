"""From a model of another library to ONNX with the same signature. The libraries are imported when they are needed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from shipway.runtime.optimize.graph import answer_as, read_as
from shipway.runtime.server.calls import Array
from shipway.runtime.signature import Signature


class CannotExport(Exception):
    """There is no ONNX form of it, in one line."""


def sklearn_to_onnx(estimator: Any, signature: Signature, _sample: Mapping[str, Array]) -> bytes:
    """An ONNX file that takes and gives what ``signature`` (of the served estimator, outputs learned) says.

    In double precision where onnxruntime has all operators for it, else in single. Raises CannotExport.
    """
    if not signature.inputs:
        raise CannotExport(f"{type(estimator).__name__} does not say how many features it takes")
    problem: Exception | None = None
    for datatype in ("FP64", "FP32"):
        try:
            model = _converted(estimator, signature, datatype)
            if datatype != signature.inputs[0].datatype:
                read_as(model, signature.inputs[0].name, signature.inputs[0].datatype)
            answer_as(model, signature.outputs)
            data: bytes = model.SerializeToString()
            import_module("onnxruntime").InferenceSession(data, providers=["CPUExecutionProvider"])
        except Exception as error:  # converters and the runtime raise whatever they trip over
            problem = error
        else:
            return data
    raise CannotExport(f"{type(estimator).__name__}: {str(problem).strip().partition(chr(10))[0]}") from problem


def torch_to_onnx(program: Any, signature: Signature, sample: Mapping[str, Array]) -> bytes:
    """An ONNX file of a ``torch.export`` program, or of a TorchScript module, which is traced with the sample.

    Raises CannotExport.
    """
    torch = import_module("torch")
    file = io.BytesIO()
    names = {
        "input_names": [one.name for one in signature.inputs],
        "output_names": [one.name for one in signature.outputs],
    }
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own exporters
            if isinstance(program, torch.export.ExportedProgram):
                torch.onnx.export(program, dynamo=True, verbose=False, **names).save(file)
            else:
                arguments = tuple(torch.from_numpy(sample[one.name].copy()) for one in signature.inputs)
                rows = {name: {0: "rows"} for one in names.values() for name in one} if signature.batched else {}
                torch.onnx.export(program, arguments, file, dynamo=False, dynamic_axes=rows, **names)
    except Exception as error:  # tracers raise whatever they trip over
        raise CannotExport(f"torch.onnx.export: {str(error).strip().partition(chr(10))[0]}") from error
    return file.getvalue()


def quantized(data: bytes, scratch: Path) -> bytes:
    """The graph with its weights as 8-bit integers (onnxruntime's dynamic quantization). Raises CannotExport."""
    given, made = scratch / "given.onnx.part", scratch / "made.onnx.part"
    given.write_bytes(data)
    try:
        import_module("onnxruntime.quantization").quantize_dynamic(given, made)
    except Exception as error:  # it raises whatever it trips over
        raise CannotExport(f"quantization: {str(error).strip().partition(chr(10))[0]}") from error
    return made.read_bytes()


def _converted(estimator: Any, signature: Signature, datatype: str) -> Any:
    types = import_module("skl2onnx.common.data_types")
    kind = types.DoubleTensorType if datatype == "FP64" else types.FloatTensorType
    given = signature.inputs[0]
    shape = [None if size == -1 else size for size in given.shape]
    convert, initial = import_module("skl2onnx").to_onnx, [(given.name, kind(shape))]
    try:  # probabilities as a tensor, not as a list of maps
        return convert(estimator, initial_types=initial, options={"zipmap": False})
    except NameError:  # skl2onnx's answer for an estimator that has no such option
        return convert(estimator, initial_types=initial)
