"""Between JSON text and arrays. Pure.

Source: Open Inference Protocol v2, "Tensor Data". Decisions that the protocol leaves open: ``null`` is NaN, in requests
and in answers (and infinity becomes ``null``: JSON has neither); a number without a fraction is a float where a float
is expected, never the other way round; FP32 is written in the shortest form that reads as the same FP32.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import numpy as np
import orjson
from msgspec import Meta

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec.tensors import DTYPES, MOST_DIMENSIONS
from shipway.runtime.server.refusals import Reason, Refused

# What rounds to infinity is refused by the decoder: NumPy gives a warning at best, and asking it for an error costs
# more than the whole check. FP16 and FP32: half a step above their largest numbers.
_FP16 = 65520.0
_FP32 = float(2**128 - 2**103)

# Integers are checked there as well: older NumPy wraps 300 into a UINT8 without a word. msgspec has no bounds beyond
# INT64, where NumPy itself refuses.
_ELEMENTS: dict[str, Any] = {
    "BOOL": bool,
    **{f"INT{bits}": Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)] for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": Annotated[int, Meta(ge=0, le=2**bits - 1)] for bits in (8, 16, 32)},
    "UINT64": Annotated[int, Meta(ge=0)],
    "FP16": Annotated[float, Meta(gt=-_FP16, lt=_FP16)] | None,
    "BF16": Annotated[float, Meta(gt=-_FP32, lt=_FP32)] | None,
    "FP32": Annotated[float, Meta(gt=-_FP32, lt=_FP32)] | None,
    "FP64": float | None,
    "BYTES": str,
}
_OPENING = re.compile(rb"[\s\[]*")


def json_depth(data: bytes | memoryview) -> int:
    """How many arrays the text opens with: 0 for a bare value, 1 for a flat list."""
    opening = _OPENING.match(data)
    return opening[0].count(b"[") if opening else 0


@lru_cache(maxsize=256)
def lists_of(datatype: str, depth: int, element: Any = None) -> Any:
    """The type, for msgspec, of lists that are nested ``depth`` deep; ``element`` instead of what the datatype has in
    JSON. Raises BadInput when that is too deep."""
    if depth > MOST_DIMENSIONS:
        raise BadInput(f"data is nested {depth} deep; at most {MOST_DIMENSIONS}")
    annotation: Any = element or _ELEMENTS[datatype]
    for _ in range(depth):
        annotation = GenericAlias(list, (annotation,))
    return annotation


def parse(data: msgspec.Raw, datatype: str, depth: int) -> Array:
    """The array that JSON text, nested ``depth`` deep, stands for. Integers are exact.

    Raises BadInput: an element of another type, out of the datatype's range, lists of unequal length.
    """
    try:
        values = _decoder(datatype, depth).decode(data)
    except msgspec.DecodeError as error:
        raise BadInput(f"data is not {datatype}: {error}") from error
    return made_of(values, datatype, depth)


def made_of(values: Any, datatype: str, depth: int) -> Array:
    """The array of lists that are nested ``depth`` deep. Raises BadInput as :func:`parse` does."""
    if depth == 1 and datatype != "BYTES":
        try:
            return np.fromiter(values, DTYPES[datatype], len(values))
        except (TypeError, OverflowError):  # a null, which np.array takes; more than UINT64 has, of which it tells more
            pass
    try:
        array = np.array(values, DTYPES[datatype])
    except (ValueError, OverflowError) as error:
        raise BadInput(f"data is not {datatype}: {str(error).partition(chr(10))[0]}") from error
    if array.ndim != depth:  # object arrays take lists as elements where the others raise
        raise BadInput(f"data is not {datatype}: lists of unequal length")
    return array


def reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    """The array of that shape, from data that is flat (row by row) or nested as the shape says. Raises BadInput."""
    # Lists say nothing of the sizes within an empty one: [[]] may be a [1, 0, 3].
    if array.ndim != 1 and array.shape != (shape if array.size else shape[: array.ndim]):
        raise BadInput(f"data has shape {list(array.shape)}: give it flat, or nested as shape {list(shape)} says")
    if array.size != math.prod(shape):
        raise BadInput(f"data has {array.size} elements, and shape {list(shape)} has {math.prod(shape)}")
    try:
        return array.reshape(shape)
    except ValueError as error:  # [0, 2**63]: no elements, and a dimension that no array can have
        raise BadInput(f"shape {list(shape)}: {error}") from error


def writable(array: Array, not_text: Callable[[bytes], Any]) -> Any:
    """What :func:`dumps` writes as nested lists: the array itself where it can. ``not_text`` decides about elements
    that are no UTF-8, which JSON cannot say."""
    if array.dtype.kind == "O":
        return _texts(array.tolist(), not_text)
    if array.ndim == 0:
        return array.item()
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def dumps(document: Any) -> bytes:
    """JSON text of a document whose numbers may be arrays. Raises Refused for text that is not Unicode."""
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:  # a lone surrogate
        raise Refused(Reason.FAILED, f"the answer cannot be written as JSON: {error}") from error


def _texts(value: Any, not_text: Callable[[bytes], Any]) -> Any:
    if isinstance(value, list):
        return [_texts(one, not_text) for one in value]
    if isinstance(value, str):
        return value
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return not_text(value)


@lru_cache(maxsize=256)
def _decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(lists_of(datatype, depth))
