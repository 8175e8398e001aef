"""A body that is nothing but the data of a model's one input. Pure.

Source: Triton's binary tensor data extension, "raw binary request" (``Inference-Header-Content-Length: 0``); there,
too, a BYTES input is one element, without a length in front, and all outputs are answered in binary.
"""

from __future__ import annotations

import math

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call
from shipway.runtime.server.codec.binary import elements, from_bytes
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.tensors import item_size
from shipway.runtime.signature import Tensor


def decode(body: bytes, door: Door) -> Call:
    """The call: the shape is the declared one, its one open size worked out. Raises BadInput."""
    if len(door.signature.inputs) != 1:
        raise BadInput("a body without a JSON header is for models that declare one input")
    tensor = door.signature.inputs[0]
    shape = _shape(tensor, 1 if tensor.datatype == "BYTES" else _count(body, tensor))
    if tensor.datatype == "BYTES":
        array = elements([body], 1).reshape(shape)
    else:
        array = from_bytes(body, tensor.datatype, shape)
    return Call({tensor.name: array}, binary=True)


def _count(body: bytes, tensor: Tensor) -> int:
    size = item_size(tensor.datatype)
    if len(body) % size:
        raise BadInput(f"{len(body)} bytes are no whole number of {tensor.datatype} elements of {size} bytes")
    return len(body) // size


def _shape(tensor: Tensor, count: int) -> tuple[int, ...]:
    """The declared shape with its open size filled in, so that it has ``count`` elements."""
    opened = tensor.shape.count(-1)
    if opened > 1:
        raise BadInput(f"{tensor} leaves {opened} sizes open: send a JSON header that says them")
    known = math.prod(size for size in tensor.shape if size != -1)
    if not opened and known == count:
        return tensor.shape
    if opened and known and count % known == 0:
        return tuple(count // known if size == -1 else size for size in tensor.shape)
    raise BadInput(f"the body has {count} elements, and input {tensor} is expected")
