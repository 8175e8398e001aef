"""NumPy arrays and the protocol's datatypes. Pure.

Source: Open Inference Protocol v2, "Tensor Data Types".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shipway.runtime.server.calls import Array
from shipway.runtime.signature import Tensor

# How each datatype is held. NumPy has no BF16: every one of its values is an FP32, so nothing is lost.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
MOST_DIMENSIONS = 32  # NumPy 1 has no more
_NAMES = {dtype: name for name, dtype in DTYPES.items() if name != "BF16"}


def item_size(datatype: str) -> int:
    """Bytes of one element on the wire (BYTES elements have none in common)."""
    return 2 if datatype == "BF16" else DTYPES[datatype].itemsize


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type (see :func:`presentable`)."""
    return _NAMES[array.dtype]


def presentable(value: Any) -> Array:
    """What a model returned, as an array of a type that the protocol knows.

    Text and bytes become ``object`` arrays of ``str`` and ``bytes``; bfloat16 (of ``ml_dtypes``) becomes FP32. Raises
    TypeError for anything else (dates, complex numbers, mixed objects, lists of unequal length).
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"no array can be made of it: {str(error).partition(chr(10))[0]}") from error
    if array.dtype in _NAMES and array.dtype.kind != "O":
        return array
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "O":
        if not all(isinstance(one, str | bytes) for one in array.flat):
            raise TypeError("it holds Python objects that are neither str nor bytes; return numbers, bools or text")
        return array
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype not in _NAMES:
        raise TypeError(f"dtype {array.dtype} has no name in the protocol; return numbers, bools or text")
    return native


def zeros(tensors: tuple[Tensor, ...]) -> dict[str, Array] | None:
    """One row of zeros for each input; None where that makes no sense: text, or a size that is left open."""
    if not tensors or any(one.datatype == "BYTES" or -1 in one.shape[1:] for one in tensors):
        return None
    return {
        one.name: np.zeros(tuple(1 if size == -1 else size for size in one.shape), DTYPES[one.datatype])
        for one in tensors
    }
