"""The Open Inference Protocol over gRPC: a message becomes a call, outputs become a message. Pure.

Source: Open Inference Protocol v2, "GRPC" (open_inference.proto); Protocol Buffers, "Encoding".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call, Scalar
from shipway.runtime.server.codec.binary import elements, from_bytes, to_bytes
from shipway.runtime.server.codec.door import Door, refuse_extensions
from shipway.runtime.server.codec.tensors import DTYPES, datatype_of
from shipway.runtime.server.rpc.messages import message

_SIGNED, _UNSIGNED = np.dtype(np.int32), np.dtype(np.uint32)
# The field of InferTensorContents for each datatype, and what its elements are; FP16 and BF16 have none.
_FIELDS: dict[str, tuple[str, np.dtype[Any]]] = {
    "BOOL": ("bool_contents", DTYPES["BOOL"]),
    **dict.fromkeys(("INT8", "INT16", "INT32"), ("int_contents", _SIGNED)),
    "INT64": ("int64_contents", DTYPES["INT64"]),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), ("uint_contents", _UNSIGNED)),
    "UINT64": ("uint64_contents", DTYPES["UINT64"]),
    "FP32": ("fp32_contents", DTYPES["FP32"]),
    "FP64": ("fp64_contents", DTYPES["FP64"]),
    "BYTES": ("bytes_contents", DTYPES["BYTES"]),
}
_ID_TAG, _PARAMETERS_TAG, _RAW_TAG = b"\x1a", b"\x22", b"\x32"  # fields 3, 4 and 6 of ModelInferResponse

Layout = tuple[tuple[str, str, tuple[int, ...]], ...]  # name, datatype and shape of each output


def decode(request: Any, door: Door, *, expires: float = math.inf) -> Call:
    """The call that a ModelInferRequest asks for; it is answered as it was asked, raw or typed (``Call.binary``).

    Raises BadInput with what is wrong and what the model expects.
    """
    try:
        inputs, raw = request.inputs, request.raw_input_contents
        names = [one.name for one in inputs]
        door.check_names(names)
        if raw and len(raw) != len(inputs):
            raise BadInput(f"raw_input_contents has {len(raw)} tensors, and inputs has {len(inputs)}: all or none")
        arrays = {}
        for number, one in enumerate(inputs):
            name, datatype, shape = names[number], one.datatype, tuple(one.shape)
            door.check(name, datatype, shape)
            if one.parameters:
                refuse_extensions(name, one.parameters)
            array = _from_raw(raw[number], one, name, shape) if raw else _from_contents(one, name, shape)
            arrays[name] = door.widen(name, datatype, array)
        door.check_rows(arrays)
        outputs = request.outputs
        return Call(
            arrays,
            door.wanted(tuple([_asked(one) for one in outputs])) if outputs else (),
            _scalars(request.parameters) if request.parameters else {},
            request.id or None,
            expires,
            bool(raw),
        )
    except ValueError as error:  # BadInput is one
        raise door.refusal(error) from error


def encode(
    outputs: Mapping[str, Array],
    call: Call,
    door: Door,
    *,
    model: str,
    version: str,
    parameters: Mapping[str, Scalar] | None = None,
) -> bytes:
    """A ModelInferResponse. FP16 and BF16 have no typed form: with one among the outputs, all of them are raw."""
    named = [
        (name, "BF16" if name in door.bf16_outputs else datatype_of(array), array) for name, array in outputs.items()
    ]
    if not (call.binary or any(datatype not in _FIELDS for _, datatype, _ in named)):
        return _typed(named, call, model, version, parameters)
    # Messages that are set one behind the other are merged: what is the same for every answer is made once.
    parts = [_head(model, version, tuple((name, datatype, array.shape) for name, datatype, array in named))]
    if call.id is not None:
        parts += _delimited(_ID_TAG, call.id.encode())
    if parameters:
        parts.append(message("inference.ModelInferResponse")(parameters=_parameters(parameters)).SerializeToString())
    for _, datatype, array in named:
        parts += _delimited(_RAW_TAG, to_bytes(array, datatype))
    return b"".join(parts)


def _typed(
    named: Sequence[tuple[str, str, Array]],
    call: Call,
    model: str,
    version: str,
    parameters: Mapping[str, Scalar] | None,
) -> bytes:
    response = message("inference.ModelInferResponse")(
        model_name=model, model_version=version, id=call.id or "", parameters=_parameters(parameters or {})
    )
    for name, datatype, array in named:
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        values = array.ravel().tolist()
        if datatype == "BYTES":
            values = [one.encode() if isinstance(one, str) else bytes(one) for one in values]
        getattr(tensor.contents, _FIELDS[datatype][0]).extend(values)
    data: bytes = response.SerializeToString()
    return data


@lru_cache(maxsize=1024)
def _head(model: str, version: str, layout: Layout) -> bytes:
    """Everything of a response but its id, its parameters and its data."""
    outputs = [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in layout]
    response = message("inference.ModelInferResponse")(model_name=model, model_version=version, outputs=outputs)
    data: bytes = response.SerializeToString()
    return data


def _delimited(tag: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """A field of bytes: its tag, its length as a varint (seven bits a byte, the lowest first), itself."""
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return tag, bytes(length), data


def _from_raw(data: bytes, given: Any, name: str, shape: tuple[int, ...]) -> Array:
    if given.HasField("contents"):
        raise BadInput(f"input {name!r} has contents beside raw_input_contents: give one of them")
    try:
        return from_bytes(data, given.datatype, shape)
    except BadInput as error:
        raise BadInput(f"input {name!r}: {error}") from error


def _from_contents(given: Any, name: str, shape: tuple[int, ...]) -> Array:
    datatype: str = given.datatype
    if datatype not in _FIELDS:
        raise BadInput(f"input {name!r}: {datatype} has no typed contents: send raw_input_contents")
    field, dtype = _FIELDS[datatype]
    filled = [descriptor.name for descriptor, _ in given.contents.ListFields()]
    if filled not in ([], [field]):
        raise BadInput(f"input {name!r}: {datatype} is sent in {field}, and {', '.join(filled)} is filled")
    values, count = getattr(given.contents, field), math.prod(shape)
    if min(shape, default=0) < 0 or len(values) != count:
        raise BadInput(f"input {name!r}: {field} has {len(values)} elements, and shape {list(shape)} has {count}")
    flat = (
        elements(values, count) if datatype == "BYTES" else _narrow(np.fromiter(values, dtype, count), datatype, name)
    )
    try:
        return flat.reshape(shape)
    except ValueError as error:  # [0, 2**63 - 1]: no elements, and a dimension that no array can have
        raise BadInput(f"input {name!r}: shape {list(shape)}: {error}") from error


def _narrow(array: Array, datatype: str, name: str) -> Array:
    """INT8 comes as 32 bits, and might be more than it says."""
    dtype = DTYPES[datatype]
    if array.dtype == dtype:
        return array
    narrow = array.astype(dtype)
    if not np.array_equal(narrow, array):
        raise BadInput(f"input {name!r}: an element is no {datatype}")
    return narrow


def _asked(output: Any) -> str:
    name: str = output.name
    if output.parameters:
        refuse_extensions(name, output.parameters)
    return name


def _scalars(parameters: Any) -> dict[str, Scalar]:
    chosen = {name: (one, one.WhichOneof("parameter_choice")) for name, one in parameters.items()}
    return {name: getattr(one, choice) for name, (one, choice) in chosen.items() if choice}


def _parameters(parameters: Mapping[str, Scalar]) -> dict[str, Any]:
    return {name: message("inference.InferParameter")(**{_choice(value): value}) for name, value in parameters.items()}


def _choice(value: Scalar) -> str:
    match value:
        case bool():
            return "bool_param"
        case int():
            return "int64_param" if value < 2**63 else "uint64_param"
        case float():
            return "double_param"
    return "string_param"
