"""An ONNX model in onnxruntime as a :class:`Model`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.model import Model
from shipway.runtime.signature import Signature, Tensor

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


def session_model(session: Any, file: str) -> Model:
    """Inputs and outputs as the graph declares them; a dimension without a number is -1.

    Raises ModelRefused for a graph that gives something else than tensors.
    """
    signature = Signature(
        inputs=tuple(_tensor(node, file) for node in session.get_inputs()),
        outputs=tuple(_tensor(node, file) for node in session.get_outputs()),
    )
    every = [one.name for one in signature.outputs]
    texts = [one.name for one in signature.inputs if one.datatype == "BYTES"]
    # What InferenceSession.run calls in the end. With options that are made once and without its checks of names, which
    # the door has done, one row takes 5.6 us in place of 7.9 (onnxruntime 1.31, logistic regression of 64 pixels).
    run, options = session._sess.run, import_module("onnxruntime").RunOptions()

    def function(call: Call) -> dict[str, Any]:
        if len(call.inputs) < len(signature.inputs):
            given = ", ".join(call.inputs) or "nothing"
            raise BadInput(f"the model takes {', '.join(map(str, signature.inputs))}, and got {given}")
        for name in texts:
            _check_text(name, call.inputs[name])
        names = list(call.wanted) or every
        try:
            return dict(zip(names, run(names, call.inputs, options), strict=True))
        except Exception as error:  # onnxruntime's classes live in its extension module: told apart by name
            if type(error).__name__ == "InvalidArgument":
                raise BadInput(str(error)) from error
            raise

    return Model(format="onnxruntime", function=function, signature=signature, any_thread=True)


def _check_text(name: str, array: Array) -> None:
    """onnxruntime takes ``str(element)``: of bytes that would be the text of their literal."""
    if not all(isinstance(one, str) for one in array.flat):
        raise BadInput(f"input {name!r} holds bytes that are not UTF-8, and this model takes text")


def _tensor(node: Any, file: str) -> Tensor:
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise ModelRefused(
            f"{file}: {node.name!r} is a {node.type}; only tensors can be served (skl2onnx: zipmap=False)"
        )
    return Tensor(node.name, datatype, tuple(size if isinstance(size, int) else -1 for size in node.shape))
