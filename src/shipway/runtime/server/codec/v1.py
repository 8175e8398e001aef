"""The protocol of TensorFlow Serving and of KServe's V1 (``POST /v1/models/NAME:predict``). Pure.

Source: TensorFlow Serving, "RESTful API", Predict: ``instances`` are rows and are answered by ``predictions``,
``inputs`` are columns and are answered by ``outputs``; several outputs are objects by name, in each row or as columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.plain import arrays_of, nested
from shipway.runtime.server.codec.text import dumps

_SIGNATURE = "serving_default"


class PredictRequest(Struct):
    """The body. Unknown fields are passed over."""

    instances: Raw | UnsetType = UNSET
    inputs: Raw | UnsetType = UNSET
    signature_name: str = _SIGNATURE


_DECODER = msgspec.json.Decoder(PredictRequest)


def decode(body: bytes, door: Door) -> Call:
    """The call that a body asks for; ``columns`` as it was asked. Raises BadInput with what is expected."""
    try:
        request = _DECODER.decode(body)
        if request.signature_name not in (_SIGNATURE, ""):
            raise BadInput(f"signature_name {request.signature_name!r}: there is only {_SIGNATURE!r}")
        if isinstance(request.instances, UnsetType) is isinstance(request.inputs, UnsetType):
            raise BadInput('give either "instances" or "inputs"')
        if isinstance(request.instances, UnsetType):
            return Call(arrays_of(request.inputs, door), columns=True)  # type: ignore[arg-type]
        return Call(arrays_of(request.instances, door))
    except (ValueError, RecursionError) as error:
        raise door.refusal(error, '{"instances": rows} or {"inputs": columns} with ') from error


def encode(outputs: Mapping[str, Array], call: Call) -> bytes:
    """``predictions`` by rows or ``outputs`` by columns; bare values when there is one output.

    Raises BadInput when rows are asked of outputs that do not have the same.
    """
    values = {name: nested(array) for name, array in outputs.items()}
    if call.columns:
        return dumps({"outputs": values if len(values) != 1 else next(iter(values.values()))})
    if len(values) == 1:
        return dumps({"predictions": next(iter(values.values()))})
    return dumps({"predictions": _rows(values)})


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    lists = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()]
    if any(not isinstance(one, list) or len(one) != len(lists[0]) for one in lists):
        raise BadInput(f'{", ".join(columns)} do not have the same rows: ask with "inputs" instead of "instances"')
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
