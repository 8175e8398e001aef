"""JSON rows and columns without names of types: what /predict and TensorFlow Serving's V1 share. Pure.

Rows are values or lists; for a model of several inputs they are objects by input name. Columns are one object: the
data of each input by its name. A BYTES element that is not text is ``{"b64": "..."}``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec.binary import elements
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.text import json_depth, lists_of, parse, writable
from shipway.runtime.signature import Tensor


class Encoded(Struct, forbid_unknown_fields=True):
    """Bytes that are not text, in base64 (TensorFlow Serving's form)."""

    b64: str


_OPENING = re.compile(rb"\s*(?P<list>\[?)\s*\{")
_COLUMNS = msgspec.json.Decoder(dict[str, Raw])
_ROWS = msgspec.json.Decoder(list[dict[str, Raw]])
_GUESSES = ("BOOL", "INT64", "FP64", "BYTES")
_UNNAMED = "input"


def arrays_of(data: Raw, door: Door) -> dict[str, Array]:
    """The inputs that rows or columns stand for, checked. One row without the outer list is a list of that row.

    Raises BadInput.
    """
    columns = _by_name(data)
    if columns is None:
        if len(door.inputs) > 1:
            raise BadInput("rows of a model with several inputs are objects by input name")
        columns = {next(iter(door.inputs), _UNNAMED): data}
    door.check_names(list(columns))
    arrays = {name: _array(name, column, door.inputs.get(name)) for name, column in columns.items()}
    door.check_rows(arrays)
    return arrays


def nested(array: Array) -> Any:
    """What :func:`~shipway.runtime.server.codec.text.dumps` writes: nested lists, with base64 where text cannot be."""
    return writable(array, lambda element: {"b64": base64.b64encode(element).decode()})


def _by_name(data: Raw) -> Mapping[str, Raw] | None:
    """Columns by input name, when the data is an object or a list of objects."""
    opening = _OPENING.match(data)
    if opening is None:
        return None
    if not opening["list"]:
        columns = _COLUMNS.decode(data)
        return None if columns.keys() == {"b64"} else columns
    rows = _ROWS.decode(data)
    names = list(rows[0])
    if names == ["b64"]:
        return None
    for number, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise BadInput(f"row {number} has the names {', '.join(row)}, and row 0 has {', '.join(names)}")
    return {name: Raw(b"[" + b",".join(bytes(row[name]) for row in rows) + b"]") for name in names}


def _array(name: str, data: Raw, expected: Tensor | None) -> Array:
    depth = json_depth(data)
    try:
        if expected is None:
            return _guessed(data, depth)
        array = _parsed(data, expected.datatype, depth)
    except BadInput as error:
        raise BadInput(f"input {name!r}: {error}") from error
    if expected.shape[:1] == (-1,) and array.ndim == len(expected.shape) - 1:
        array = array[None]
    if not expected.takes(array.shape):
        raise BadInput(f"input {name!r}: rows have shape {list(array.shape)}")
    return array


def _guessed(data: Raw, depth: int) -> Array:
    """The narrowest datatype that takes every element: nothing is declared, and nothing is converted."""
    if depth == 0:
        raise BadInput("rows are a list")
    for datatype in _GUESSES:
        try:
            return _parsed(data, datatype, depth)
        except BadInput:
            continue
    raise BadInput("rows must be numbers, or bools, or text, in lists of equal length")


def _parsed(data: Raw, datatype: str, depth: int) -> Array:
    if datatype != "BYTES" or b'"b64"' not in bytes(memoryview(data)):
        return parse(data, datatype, depth)
    try:
        values = np.array(_encoded_decoder(depth).decode(data), dtype=object)
        if values.ndim != depth:
            raise BadInput("lists of unequal length")
        return elements([_decoded(one) for one in values.flat], values.size).reshape(values.shape)
    except ValueError as error:
        raise BadInput(f"data is not BYTES: {error}") from error


def _decoded(value: str | Encoded) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value.b64, validate=True)


@lru_cache(maxsize=64)
def _encoded_decoder(depth: int) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(lists_of("BYTES", depth, str | Encoded))
