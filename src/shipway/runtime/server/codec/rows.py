"""Plain JSON rows at /predict, for those who have no client of the protocol: ``{"input": [[...], ...]}``. Pure.

``instances`` may stand for ``input`` (TensorFlow Serving's word).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.plain import arrays_of, nested
from shipway.runtime.server.codec.text import dumps


class PlainRequest(Struct):
    """The body of POST /predict."""

    input: Raw | UnsetType = UNSET
    instances: Raw | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(PlainRequest)


def decode(body: bytes, door: Door) -> Call:
    """The call that a body asks for. Raises BadInput with what is wrong and what the model expects."""
    try:
        request = _DECODER.decode(body)
        given = [one for one in (request.input, request.instances) if not isinstance(one, UnsetType)]
        if len(given) != 1:
            raise BadInput('give "input" (or "instances"), once')
        return Call(arrays_of(given[0], door))
    except (ValueError, RecursionError) as error:
        raise door.refusal(error, '{"input": rows} with ') from error


def encode(outputs: Mapping[str, Array]) -> bytes:
    """``{"output": rows}``, or ``{"output": {name: rows}}`` when the model has several outputs."""
    rows = {name: nested(array) for name, array in outputs.items()}
    document: dict[str, Any] = {"output": rows if len(rows) != 1 else next(iter(rows.values()))}
    return dumps(document)
