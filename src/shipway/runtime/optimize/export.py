"""From a model of another library to ONNX with the same signature. The libraries are imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shipway.runtime.optimize.graph import answer_as, read_as
from shipway.runtime.signature import Signature


class CannotExport(Exception):
    """There is no ONNX form of it, in one line."""


def sklearn_to_onnx(estimator: Any, signature: Signature) -> bytes:
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
