"""The Open Inference Protocol over HTTP: a body becomes a call, outputs become a body. Pure.

Source: Open Inference Protocol v2, "Inference Request JSON Object" and "Inference Response JSON Object"; Triton's
binary tensor data extension (tensors as bytes behind the JSON, in the order in which the JSON names them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call, Scalar
from shipway.runtime.server.codec import raw
from shipway.runtime.server.codec.binary import Buffer, from_bytes, to_bytes
from shipway.runtime.server.codec.door import Door, refuse_extensions
from shipway.runtime.server.codec.tensors import MOST_DIMENSIONS, datatype_of
from shipway.runtime.server.codec.text import (
    dumps,
    json_depth,
    lists_of,
    made_of,
    parse,
    reshaped,
    writable,
)

Size = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Shape = Annotated[tuple[Size, ...], Meta(max_length=MOST_DIMENSIONS)]
Parameters = dict[str, Scalar]
Data = TypeVar("Data")


class InferInput(Struct, Generic[Data], gc=False):
    """``data`` stays text (``Raw``) where the datatype is not known beforehand."""

    name: str
    shape: Shape
    datatype: str
    data: Data | UnsetType = UNSET
    parameters: Parameters | None = None


class InferOutput(Struct, gc=False):
    """An output that the caller wants."""

    name: str
    parameters: Parameters | None = None


class InferRequest(Struct, Generic[Data], gc=False):
    """The body of POST .../infer. Unknown fields are for extensions and are passed over."""

    inputs: Annotated[list[InferInput[Data]], Meta(min_length=1)]
    outputs: list[InferOutput] | None = None
    id: str | None = None
    parameters: Parameters | None = None


_DECODER = msgspec.json.Decoder(InferRequest[Raw])
_DATA = re.compile(rb'"data"\s*:([\s\[]*)')


def decode(body: bytes, header_length: int | None, door: Door) -> Call:
    """The call that a body asks for. ``header_length``: bytes of JSON at its start (the header
    ``Inference-Header-Content-Length``); None: all of it; 0: none, the body is the data of the one input.

    Raises BadInput with what is wrong and what the model expects.
    """
    try:
        if header_length is None:
            return _from_json(body, door)
        if header_length == 0:
            return raw.decode(body, door)
        return _with_binary(memoryview(body), header_length, door)
    except (ValueError, RecursionError) as error:  # BadInput and msgspec's errors are ValueErrors
        raise door.refusal(error) from error


def encode(
    outputs: Mapping[str, Array], call: Call, door: Door, *, model: str, version: str
) -> tuple[bytes, int | None]:
    """The answer, and how many bytes of it are JSON when binary tensors follow; ``data`` in JSON is flat, row by row.

    FP16 and BF16, which have no JSON form, are widened to FP32 there and say so. Raises BadInput for a BYTES output
    that is not UTF-8 and was not asked for in binary.
    """
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if call.id is not None:
        document["id"] = call.id
    document["outputs"] = tensors = []
    if not call.binary:
        for name, array in outputs.items():
            tensors.append(_as_json(name, array))
        return dumps(document), None
    parts = [b""]
    for name, array in outputs.items():
        if call.binary is True or name in call.binary:
            datatype = "BF16" if name in door.bf16_outputs else datatype_of(array)
            parts.append(to_bytes(array, datatype))
            size = {"binary_data_size": len(parts[-1])}
            tensors.append({"name": name, "datatype": datatype, "shape": array.shape, "parameters": size})
        else:
            tensors.append(_as_json(name, array))
    parts[0] = dumps(document)
    return b"".join(parts), len(parts[0])


def _from_json(body: Buffer, door: Door) -> Call:
    found = _DATA.search(body)
    if found is not None and door.datatype is not None:
        depth = found[1].count(b"[")
        request = _in_one_pass(body, door.datatype, depth)
        if request is not None:
            return _call(request, door, partial(_from_values, depth))
    return _call(_DECODER.decode(body), door, _from_text)


def _in_one_pass(body: Buffer, datatype: str, depth: int) -> InferRequest[Any] | None:
    """The request with numbers for its data: possible when all inputs have the datatype that the model declares and
    are nested ``depth`` deep. None otherwise, whatever the reason: then it is read as text first, for its faults too.
    """
    try:
        request: InferRequest[Any] = _typed_decoder(datatype, depth).decode(body)
    except (ValueError, RecursionError):
        return None
    for one in request.inputs:
        if one.datatype != datatype or one.data is UNSET or one.parameters:
            return None
    return request


def _with_binary(body: memoryview, header_length: int, door: Door) -> Call:
    if not 0 < header_length <= len(body):
        raise BadInput(f"Inference-Header-Content-Length is {header_length}, and the body has {len(body)} bytes")
    rest = _Rest(body[header_length:])
    call = _call(_DECODER.decode(body[:header_length]), door, rest.read)
    rest.check_end()
    return call


class _Rest:
    """The bytes behind the JSON, taken piece by piece."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def read(self, given: InferInput[Raw]) -> Array:
        size = (given.parameters or {}).get("binary_data_size")
        if size is None:
            return _from_text(given)
        if given.data is not UNSET:
            raise BadInput("data and binary_data_size are both given")
        if type(size) is not int or size < 0:
            raise BadInput(f"binary_data_size is {size!r}, and must be a number of bytes")
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise BadInput(f"binary_data_size is {size}, and {len(self._data) - start} bytes are left in the body")
        return from_bytes(self._data[start : self._position], given.datatype, given.shape)

    def check_end(self) -> None:
        left = len(self._data) - self._position
        if left:
            raise BadInput(f"{left} bytes are left in the body: binary_data_size of the inputs is too small")


def _from_text(given: InferInput[Raw]) -> Array:
    if given.parameters and "binary_data_size" in given.parameters:
        raise BadInput("binary data needs the header Inference-Header-Content-Length: the bytes of JSON before it")
    if isinstance(given.data, UnsetType):
        raise BadInput("no data")
    if given.datatype in ("FP16", "BF16"):
        raise BadInput(f"{given.datatype} has no form in JSON: send it as binary data (binary_data_size)")
    return reshaped(parse(given.data, given.datatype, json_depth(given.data)), given.shape)


def _from_values(depth: int, given: InferInput[Any]) -> Array:
    return reshaped(made_of(given.data, given.datatype, depth), given.shape)


def _call(request: InferRequest[Any], door: Door, read: Callable[[InferInput[Any]], Array]) -> Call:
    door.check_names([one.name for one in request.inputs])
    arrays: dict[str, Array] = {}
    for one in request.inputs:
        door.check(one.name, one.datatype, one.shape)
        if one.parameters:
            refuse_extensions(one.name, one.parameters)
        try:
            array = read(one)
        except BadInput as error:
            raise BadInput(f"input {one.name!r}: {error}") from error
        arrays[one.name] = door.widen(one.name, one.datatype, array)
    door.check_rows(arrays)
    parameters = request.parameters or {}
    binary = _flag("binary_data_output", parameters.pop("binary_data_output", False))
    if not request.outputs:
        return Call(arrays, (), parameters, request.id, binary=binary)
    wanted = door.wanted(tuple([one.name for one in request.outputs]))
    return Call(arrays, wanted, parameters, request.id, binary=_binary_of(request.outputs, binary))


def _binary_of(outputs: list[InferOutput], default: bool) -> bool | frozenset[str]:
    if not any(one.parameters for one in outputs):
        return default
    chosen = []
    for one in outputs:
        parameters = one.parameters or {}
        refuse_extensions(one.name, parameters)
        if _flag("binary_data", parameters.get("binary_data", default)):
            chosen.append(one.name)
    return frozenset(chosen)


def _flag(name: str, value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{name} is {value!r}, and must be true or false")
    return value


def _as_json(name: str, array: Array) -> dict[str, Any]:
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    return {
        "name": name,
        "datatype": datatype_of(array),
        "shape": array.shape,
        "data": writable(array.ravel(), _refuse_bytes),
    }


def _refuse_bytes(_: bytes) -> Any:
    raise BadInput(
        "the answer holds bytes that are not UTF-8, which JSON cannot say: "
        'ask for it in binary, with "parameters": {"binary_data_output": true}'
    )


@lru_cache(maxsize=256)
def _typed_decoder(datatype: str, depth: int) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(InferRequest[lists_of(datatype, depth)])  # type: ignore[misc]
