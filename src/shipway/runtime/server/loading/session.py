"""An ONNX model in onnxruntime as a :class:`Model`."""

from __future__ import annotations

from typing import Any

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Call
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
    every = tuple(one.name for one in signature.outputs)

    def function(call: Call) -> dict[str, Any]:
        names = call.wanted or every
        try:
            return dict(zip(names, session.run(list(names), dict(call.inputs)), strict=True))
        except Exception as error:  # onnxruntime's classes live in its extension module: told apart by name
            if type(error).__name__ == "InvalidArgument":
                raise BadInput(str(error)) from error
            raise

    return Model(format="onnxruntime", function=function, signature=signature)


def _tensor(node: Any, file: str) -> Tensor:
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise ModelRefused(
            f"{file}: {node.name!r} is a {node.type}; only tensors can be served (skl2onnx: zipmap=False)"
        )
    return Tensor(node.name, datatype, tuple(size if isinstance(size, int) else -1 for size in node.shape))
