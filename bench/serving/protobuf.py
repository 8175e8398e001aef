"""The two messages of the Open Inference Protocol over gRPC that a load needs, written and read by hand. Pure.

Source: open_inference_grpc.proto (the numbers of the fields), protobuf.dev "Encoding" (the wire format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FORMATS = {"FP32": "f", "FP64": "d", "INT64": "q", "INT32": "i"}


def infer_request(model: str, identity: str, datatype: str, shape: Sequence[int], data: bytes, output: str) -> bytes:
    """A ModelInferRequest of one tensor with raw contents that asks for one output."""
    tensor = _field(1, b"input") + _field(2, datatype.encode()) + _field(3, b"".join(map(varint, shape)))
    return b"".join(
        (
            _field(1, model.encode()),
            _field(3, identity.encode()),
            _field(5, tensor),
            _field(6, _field(1, output.encode())),
            _field(7, data),
        )
    )


def infer_answer(message: bytes) -> list[float]:
    """The numbers of the first output of a ModelInferResponse, raw or typed. Raises ValueError."""
    top = list(fields(message))
    outputs = [value for number, value in top if number == 5 and isinstance(value, bytes)]
    if not outputs:
        raise ValueError("no output")
    tensor = dict(fields(outputs[0]))
    raw = [value for number, value in top if number == 6 and isinstance(value, bytes)]
    if raw:
        code = _FORMATS[str(tensor[2], "ascii") if isinstance(tensor[2], bytes) else ""]
        return [float(one[0]) for one in struct.iter_unpack(f"<{code}", raw[0])]
    return _typed(tensor.get(5, b""))


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field. Raises ValueError for a message that is cut off."""
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _read_varint(message, place)
            yield key >> 3, value
            continue
        if kind not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError(f"wire type {kind}")
        size = 8 if kind == _FIXED64 else 4
        if kind == _BYTES:
            size, place = _read_varint(message, place)
        if place + size > len(message):
            raise ValueError("cut off")
        yield key >> 3, message[place : place + size]
        place += size


def varint(value: int) -> bytes:
    """A number of 0 or more."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _typed(contents: int | bytes) -> list[float]:
    """InferTensorContents: packed numbers in one of its fields."""
    if not isinstance(contents, bytes):
        raise ValueError("contents is no message")
    for number, value in fields(contents):
        if not isinstance(value, bytes):
            return [float(value)]
        if number in (6, 7):
            return [float(one[0]) for one in struct.iter_unpack("<f" if number == 6 else "<d", value)]
        found, place = [], 0
        while place < len(value):
            one, place = _read_varint(value, place)
            found.append(float(one))
        return found
    raise ValueError("no contents")


def _field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("cut off")
