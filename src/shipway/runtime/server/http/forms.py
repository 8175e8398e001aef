"""How each inference route writes requests and answers: a codec, and the headers that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.codec import oip, rows, v1
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.http.replies import Reply
from shipway.runtime.server.http.routes import Action
from shipway.runtime.server.served import ServedModel

Outputs = Mapping[str, Array]

_LENGTH = "inference-header-content-length"


class Form(Struct, frozen=True):
    """``decode`` takes the body, the length of the JSON at its start (None: all of it), and raises BadInput."""

    decode: Callable[[bytes, int | None, Door], Call]
    encode: Callable[[Outputs, Call, ServedModel], Reply]


def header_length(value: str | None) -> int | None:
    """The header ``Inference-Header-Content-Length``. Raises BadInput."""
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise BadInput(f"{_LENGTH} is {value!r}, and must be the number of bytes of JSON at the start of the body")
    return int(value)


def json_only(call: Call) -> Call:
    """The same call, all its outputs asked for as JSON: events are text."""
    return msgspec.structs.replace(call, binary=False) if call.binary else call


def _encode_oip(outputs: Outputs, call: Call, served: ServedModel) -> Reply:
    body, json_length = oip.encode(outputs, call, served.door, model=served.name, version=served.version)
    if json_length is None:
        return Reply(body)
    return Reply(body, 200, (("content-type", "application/octet-stream"), (_LENGTH, str(json_length))))


def _no_binary(decode: Callable[[bytes, Door], Call]) -> Callable[[bytes, int | None, Door], Call]:
    def checked(body: bytes, json_length: int | None, door: Door) -> Call:
        if json_length is not None:
            raise BadInput(f"{_LENGTH}: binary tensors are sent to /v2/models/NAME/infer")
        return decode(body, door)

    return checked


OIP = Form(oip.decode, _encode_oip)
ROWS = Form(_no_binary(rows.decode), lambda outputs, call, served: Reply(rows.encode(outputs)))
V1 = Form(_no_binary(v1.decode), lambda outputs, call, served: Reply(v1.encode(outputs, call)))
FORMS = {Action.INFER: OIP, Action.INFER_STREAM: OIP, Action.PREDICT: ROWS, Action.V1_PREDICT: V1}
