"""The Open Inference Protocol's JSON: an infer request becomes arrays, arrays become its response. Pure.

Source: Open Inference Protocol v2, "Inference Request JSON Object" and "Inference Response JSON Object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec.tensors import DTYPES, datatype_of, shaped, widen
from shipway.runtime.signature import Signature, Tensor

Parameters = dict[str, str | int | float | bool]


class InferInput(Struct):
    """``data`` stays text until the datatype is known."""

    name: str
    shape: list[Annotated[int, Meta(ge=0)]]
    datatype: str
    data: Raw | UnsetType = UNSET
    parameters: Parameters = {}


class InferOutput(Struct):
    """An output that the caller wants."""

    name: str
    parameters: Parameters = {}


class InferRequest(Struct):
    """The body of POST .../infer. Unknown fields are for extensions and are passed over."""

    inputs: Annotated[list[InferInput], Meta(min_length=1)]
    outputs: list[InferOutput] = []
    id: str | None = None
    parameters: Parameters = {}


_DECODER = msgspec.json.Decoder(InferRequest)
_ENCODER = msgspec.json.Encoder()  # NaN and infinity become null: JSON has no other form


def decode(body: bytes, signature: Signature) -> Call:
    """The call that a body asks for, checked against the signature.

    Raises BadInput with what is wrong and what the model expects.
    """
    try:
        request = _DECODER.decode(body)
        return Call(
            inputs=_arrays(request.inputs, signature),
            wanted=_wanted(request.outputs, signature),
            parameters=request.parameters,
            id=request.id,
        )
    except (ValueError, RecursionError) as error:  # BadInput and msgspec's errors are ValueErrors
        raise BadInput(f"{error or type(error).__name__}; expected {signature}") from error


def encode(outputs: Mapping[str, Array], call: Call, *, model: str, version: str) -> bytes:
    """The response body; ``data`` is flat, row by row."""
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if call.id is not None:
        document["id"] = call.id
    document["outputs"] = [
        {
            "name": name,
            "datatype": datatype_of(array),
            "shape": array.shape,
            "data": array.ravel().tolist(),
        }
        for name, array in outputs.items()
    ]
    return _ENCODER.encode(document)


def check_rows(inputs: Mapping[str, Array], signature: Signature) -> None:
    """All inputs hold the same number of rows. Raises BadInput."""
    if len(inputs) < 2 or not signature.batched:
        return
    rows = {name: array.shape[:1] for name, array in inputs.items()}
    if len(set(rows.values())) > 1:
        raise BadInput("inputs with different numbers of rows: " + ", ".join(f"{n} {list(r)}" for n, r in rows.items()))


def check_names(given: list[str], expected: tuple[Tensor, ...]) -> None:
    """Every input once, and no other. Raises BadInput."""
    names = [one.name for one in expected] or given
    if not given:
        raise BadInput("no input is given")
    for problem, culprits in (
        ("unknown input", [name for name in given if name not in names]),
        ("missing input", [name for name in names if name not in given]),
        ("repeated input", [name for name in given if given.count(name) > 1][:1]),
    ):
        if culprits:
            raise BadInput(f"{problem} {', '.join(map(repr, culprits))}")


def _arrays(tensors: list[InferInput], signature: Signature) -> dict[str, Array]:
    expected = {one.name: one for one in signature.inputs}
    check_names([one.name for one in tensors], signature.inputs)
    arrays = {one.name: _array(one, expected.get(one.name)) for one in tensors}
    check_rows(arrays, signature)
    return arrays


def _array(given: InferInput, expected: Tensor | None) -> Array:
    try:
        shape = tuple(given.shape)
        if expected is not None and not expected.takes(shape):
            raise BadInput(f"shape {list(shape)} given where {list(expected.shape)} is expected")
        if given.datatype in ("FP16", "BF16"):
            raise BadInput(f"{given.datatype} has no form in JSON: send FP32")
        if given.datatype not in DTYPES:
            raise BadInput(f"unknown datatype {given.datatype!r}; one of {', '.join(DTYPES)}")
        if isinstance(given.data, UnsetType):
            raise BadInput("no data; this server takes tensors as JSON")
        array = shaped(given.data, given.datatype, shape)
        return widen(array, given.datatype, expected.datatype) if expected else array
    except BadInput as error:
        raise BadInput(f"input {given.name!r}: {error}") from error


def _wanted(outputs: list[InferOutput], signature: Signature) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(one.name for one in outputs))
    known = [one.name for one in signature.outputs]
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise BadInput(f"unknown output {', '.join(map(repr, unknown))}")
    return names
