"""Between JSON, NumPy arrays and the protocol's datatypes. Pure.

Source: Open Inference Protocol v2, "Tensor Data" and "Tensor Data Types".
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.signature import Tensor

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
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}

# Integers are checked by the JSON decoder: older NumPy wraps 300 into a UINT8 without a word. msgspec has no
# bounds beyond INT64, where NumPy itself refuses. None is NaN: JSON has no other way to say "missing".
_ELEMENTS: dict[str, Any] = {
    "BOOL": bool,
    **{f"INT{bits}": Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)] for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": Annotated[int, Meta(ge=0, le=2**bits - 1)] for bits in (8, 16, 32)},
    "UINT64": Annotated[int, Meta(ge=0)],
    "FP16": float | None,
    "FP32": float | None,
    "FP64": float | None,
    "BYTES": str,
}
_OPENING = re.compile(rb"[\s\[]*")
_DEEPEST = 32  # dimensions; NumPy 1 has no more


def json_depth(data: msgspec.Raw) -> int:
    """How many arrays the data opens with: 0 for a bare value, 1 for a flat list."""
    opening = _OPENING.match(memoryview(data))
    return opening[0].count(b"[") if opening else 0


def parse(data: msgspec.Raw, datatype: str, depth: int) -> Array:
    """The array that JSON text, nested ``depth`` deep, stands for. Integers are exact; ``null`` is NaN.

    Raises BadInput: an element of another type, out of the datatype's range, lists of unequal length.
    """
    if depth > _DEEPEST:
        raise BadInput(f"data is nested {depth} deep; at most {_DEEPEST}")
    try:
        with np.errstate(over="raise"):  # else 1e40 becomes an infinite FP32
            array = np.array(_decoder(datatype, depth).decode(data), dtype=DTYPES[datatype])
    except (ValueError, OverflowError, FloatingPointError) as error:
        raise BadInput(f"data is not {datatype}: {_first_line(error)}") from error
    if array.ndim != depth:  # object arrays take lists as elements where the others raise
        raise BadInput(f"data is not {datatype}: lists of unequal length")
    return array


def shaped(data: msgspec.Raw, datatype: str, shape: tuple[int, ...]) -> Array:
    """The array of that shape, from data that is flat (row by row) or nested as the shape says.

    Raises BadInput when the number of elements or the nesting is another one.
    """
    depth, size = json_depth(data), math.prod(shape)
    if depth not in (min(1, len(shape)), 1, len(shape)):
        raise BadInput(f"data is nested {depth} deep; shape {list(shape)} takes it flat or {len(shape)} deep")
    array = parse(data, datatype, depth)
    if depth > 1 and array.shape != shape:
        raise BadInput(f"data has shape {list(array.shape)}, and shape says {list(shape)}")
    if array.size != size:
        raise BadInput(f"data has {array.size} elements, and shape {list(shape)} has {size}")
    try:
        return array.reshape(shape)
    except ValueError as error:  # [0, 10**30]: no elements, and a dimension that no array can have
        raise BadInput(f"shape {list(shape)}: {error}") from error


def widen(array: Array, datatype: str, wanted: str) -> Array:
    """The array as ``wanted``, if no value can change by it (INT32 to FP64, never FP64 to FP32).

    Raises BadInput otherwise. BOOL and BYTES stay what they are.
    """
    if datatype == wanted:
        return array
    fixed = {"BOOL", "BYTES"} & {datatype, wanted}
    if fixed or not np.can_cast(DTYPES[datatype], DTYPES[wanted], "safe"):
        raise BadInput(f"datatype {datatype} given where {wanted} is expected")
    return array.astype(DTYPES[wanted])


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type (see :func:`presentable`)."""
    return _NAMES[array.dtype]


def presentable(value: Any) -> Array:
    """What a model returned, as an array of a type that the protocol knows.

    Text becomes ``object``; half precision, which JSON cannot say, becomes FP32. Raises TypeError for
    anything else (dates, complex numbers, mixed objects, lists of unequal length).
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"no array can be made of it: {_first_line(error)}") from error
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8").astype(object)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind == "O" and not all(isinstance(one, str) for one in array.flat):
        raise TypeError("it holds Python objects that are not str; return numbers, bools or text")
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


@lru_cache(maxsize=256)
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    annotation: Any = _ELEMENTS[datatype]
    for _ in range(depth):
        annotation = GenericAlias(list, (annotation,))
    return msgspec.json.Decoder(annotation)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
