"""Between the bytes of a tensor and its array, for every datatype. Pure; HTTP's binary tensors and gRPC's raw contents.

Source: Triton's binary tensor data extension: little-endian, row by row, no padding; a BYTES element is its length as
a 4-byte unsigned integer and then its bytes; BOOL is one byte, 0 or 1.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence

import numpy as np

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec.tensors import DTYPES, MOST_DIMENSIONS
from shipway.runtime.server.refusals import Reason, Refused

Buffer = bytes | memoryview

_LENGTH = struct.Struct("<I")
_WIRE = {name: dtype.newbyteorder("<") for name, dtype in DTYPES.items()} | {"BF16": np.dtype("<u2")}


def from_bytes(data: Buffer, datatype: str, shape: Sequence[int]) -> Array:
    """The array of that shape: a read-only view of ``data`` where the machine can use it as it lies there.

    BF16 becomes FP32. Raises BadInput: an unknown datatype, more or fewer bytes than the shape takes, a shape that no
    array can have, a BOOL that is not 0 or 1, lengths of BYTES that do not add up.
    """
    wire = _WIRE.get(datatype)
    if wire is None:
        raise BadInput(f"unknown datatype {datatype!r}; one of {', '.join(DTYPES)}")
    count = math.prod(shape) if len(shape) <= MOST_DIMENSIONS else -1
    if count < 0 or min(shape, default=0) < 0:
        raise BadInput(
            f"shape {list(shape[: MOST_DIMENSIONS + 1])}: at most {MOST_DIMENSIONS} dimensions, none below 0"
        )
    if datatype == "BYTES":
        flat = elements(_split(data, count), count)
    elif len(data) == count * wire.itemsize:
        flat = _numbers(data, datatype, wire)
    else:
        raise BadInput(f"{len(data)} bytes, and {datatype} {list(shape)} takes {count * wire.itemsize}")
    try:
        return flat.reshape(shape)
    except ValueError as error:  # [0, 2**63]: no elements, and a dimension that no array can have
        raise BadInput(f"shape {list(shape)}: {error}") from error


def to_bytes(array: Array, datatype: str) -> bytes:
    """The array's bytes. FP32 that is declared as BF16 is rounded to the nearest, ties to even.

    Raises Refused for text that is not Unicode (a lone surrogate).
    """
    if datatype == "BYTES":
        try:
            encoded = [one.encode() if isinstance(one, str) else bytes(one) for one in array.flat]
        except UnicodeEncodeError as error:
            raise Refused(Reason.FAILED, f"the answer cannot be written as bytes: {error}") from error
        return b"".join(part for one in encoded for part in (_LENGTH.pack(len(one)), one))
    if datatype == "BF16":
        return _to_bf16(array).tobytes()
    return array.astype(_WIRE[datatype], copy=False).tobytes()


def elements(parts: Iterable[Buffer], count: int) -> Array:
    """A flat array of BYTES elements: ``str`` where the bytes are UTF-8, else ``bytes``.

    Each element is decided alone, so that what a model sees of a row does not depend on the rows beside it.
    """
    array = np.empty(count, dtype=object)
    array[:] = [_element(one) for one in parts]
    return array


def _element(data: Buffer) -> str | bytes:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return bytes(data)


def _numbers(data: Buffer, datatype: str, wire: np.dtype[np.generic]) -> Array:
    array: Array = np.frombuffer(data, wire)
    if datatype == "BF16":
        return _from_bf16(array)
    if datatype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise BadInput("a BOOL is one byte, 0 or 1")
    if not array.flags.aligned:  # behind a JSON header of any length: engines read with aligned loads
        array = array.copy()
    return array.astype(DTYPES[datatype], copy=False)


def _split(data: Buffer, count: int) -> list[Buffer]:
    view = memoryview(data)
    end = len(view)
    if count * _LENGTH.size > end:  # before anything is made of a count that a stranger wrote
        raise BadInput(f"{end} bytes hold no {count} BYTES elements: each has 4 bytes of length")
    parts: list[Buffer] = []
    position = 0
    for number in range(count):
        start = position + _LENGTH.size
        if start > end:
            raise BadInput(f"BYTES element {number} of {count} lies behind the end of the {end} bytes")
        position = start + _LENGTH.unpack_from(view, position)[0]
        if position > end:
            raise BadInput(
                f"BYTES element {number} of {count} has {position - start} bytes, and {end - start} are left"
            )
        parts.append(view[start:position])
    if position != end:
        raise BadInput(f"{end - position} bytes are left behind {count} BYTES elements")
    return parts


def _from_bf16(bits: Array) -> Array:
    """BF16 is the upper half of FP32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _to_bf16(array: Array) -> Array:
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = bits + (((bits >> 16) & 1) + 0x7FFF)
    # A NaN whose mantissa lies in the lower half only would round to infinity.
    upper = np.where(np.isnan(array), (bits >> 16) | 0x40, rounded >> 16)
    return upper.astype("<u2")
