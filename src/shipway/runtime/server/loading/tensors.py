"""Between NumPy arrays and torch tensors, without a copy where that is safe. torch comes as an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shipway.runtime.server.calls import Array

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
}


def datatype(dtype: Any) -> str | None:
    """The protocol's name of a ``torch.dtype``, None where it has none."""
    return DATATYPES.get(str(dtype).removeprefix("torch."))


def to_torch(torch: Any, array: Array, *, writes: bool) -> Any:
    """A tensor on the array's memory; of a copy where the model ``writes`` into its inputs, or torch could not read it:
    a request's bytes are not ours to change, and tensors in them lie where they lie."""
    if writes or not array.flags.aligned:
        array = np.array(array)
    return torch.from_numpy(array)


def to_numpy(torch: Any, tensor: Any) -> Array:
    """The tensor's values. BF16, which NumPy does not have, becomes FP32."""
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: Array = tensor.numpy(force=True)
    return array


def named(result: Any) -> dict[str, Any]:
    """Outputs by name: those of a mapping or a named tuple as they are, ``output_0`` and on of a sequence, else
    ``output``. Anything that is deeper stays one value, which the checks of outputs refuse."""
    if isinstance(result, Mapping):
        return {str(name): value for name, value in result.items()}
    if isinstance(result, tuple | list):
        names = getattr(result, "_fields", None) or [f"output_{index}" for index in range(len(result))]
        return dict(zip(names, result, strict=True))
    return {"output": result}
