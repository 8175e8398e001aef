"""Plain JSON rows, for those who have no client of the protocol: ``{"input": [[...], ...]}``. Pure.

``instances`` may stand for ``input`` (TensorFlow Serving's word). Rows are lists; for a model of several
inputs they are objects by input name, or ``input`` itself is an object of columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec.oip import check_names, check_rows
from shipway.runtime.server.codec.tensors import json_depth, parse
from shipway.runtime.signature import Signature, Tensor


class PlainRequest(Struct):
    """The body of POST /predict."""

    input: Raw | UnsetType = UNSET
    instances: Raw | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(PlainRequest)
_COLUMNS = msgspec.json.Decoder(dict[str, Raw])
_ROWS = msgspec.json.Decoder(list[dict[str, Raw]])
_GUESSES = ("BOOL", "INT64", "FP64", "BYTES")
_UNNAMED = "input"


def decode(body: bytes, signature: Signature) -> Call:
    """The call that a body asks for. One row without the outer list is taken as a list of that row.

    Raises BadInput with what is wrong and what the model expects.
    """
    try:
        request = _DECODER.decode(body)
        given = [one for one in (request.input, request.instances) if not isinstance(one, UnsetType)]
        if len(given) != 1:
            raise BadInput('give "input" (or "instances"), once')
        inputs = _arrays(given[0], signature)
        check_rows(inputs, signature)
        return Call(inputs)
    except (ValueError, RecursionError) as error:
        raise BadInput(f'{error or type(error).__name__}; expected {{"input": rows}} with {signature}') from error


def encode(outputs: Mapping[str, Array]) -> bytes:
    """``{"output": rows}``, or ``{"output": {name: rows}}`` when the model has several outputs."""
    rows = {name: array.tolist() for name, array in outputs.items()}
    document: dict[str, Any] = {"output": rows if len(rows) != 1 else next(iter(rows.values()))}
    return msgspec.json.encode(document)


def _arrays(data: Raw, signature: Signature) -> dict[str, Array]:
    expected = {one.name: one for one in signature.inputs}
    columns = _by_name(data)
    if columns is None:
        if len(expected) > 1:
            raise BadInput("rows of a model with several inputs are objects by input name")
        name = next(iter(expected), _UNNAMED)
        return {name: _array(name, data, expected.get(name))}
    check_names(list(columns), signature.inputs)
    return {name: _array(name, column, expected.get(name)) for name, column in columns.items()}


def _by_name(data: Raw) -> dict[str, Raw] | None:
    """Columns by input name, when the data is an object or a list of objects."""
    start = bytes(memoryview(data)).lstrip()
    if start.startswith(b"{"):
        return _COLUMNS.decode(data)
    if not start[1:].lstrip().startswith(b"{"):
        return None
    rows = _ROWS.decode(data)
    names = list(rows[0])
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise BadInput(f"row {number} has the names {', '.join(row)}, and row 0 has {', '.join(names)}")
    return {name: Raw(b"[" + b",".join(bytes(row[name]) for row in rows) + b"]") for name in names}


def _array(name: str, data: Raw, expected: Tensor | None) -> Array:
    depth = json_depth(data)
    if expected is None:
        return _guessed(name, data, depth)
    try:
        array = parse(data, expected.datatype, depth)
    except BadInput as error:
        raise BadInput(f"input {name!r}: {error}") from error
    if expected.shape[:1] == (-1,) and array.ndim == len(expected.shape) - 1:
        array = array[None]
    if not expected.takes(array.shape):
        raise BadInput(f"input {name!r}: rows have shape {list(array.shape)}")
    return array


def _guessed(name: str, data: Raw, depth: int) -> Array:
    """The narrowest datatype that takes every element: nothing is declared, and nothing is converted."""
    for datatype in _GUESSES:
        try:
            return parse(data, datatype, depth)
        except BadInput:
            continue
    raise BadInput(f"input {name!r}: rows must be numbers, or bools, or text, in lists of equal length")
