"""HTTP/2's frames and header fields, as far as gRPC needs them. Pure.

Source: RFC 9113 (HTTP/2) sections 4 and 6, RFC 7541 (HPACK) sections 5.1 and 6.2.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = 9  # bytes before each payload
LARGEST = 16384  # bytes of a payload that everybody takes, and that we take
WINDOW = 65535  # bytes that may be sent before any update
PING = 8  # bytes of a payload
PRIORITY = 5  # bytes of a payload, and of a part of HEADERS

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FIELDS = 0x20


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Fault(IntEnum):
    """Error codes of RST_STREAM and GOAWAY."""

    NO_ERROR = 0
    PROTOCOL = 1
    FLOW_CONTROL = 3
    STREAM_CLOSED = 5
    FRAME_SIZE = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION = 9
    ENHANCE_YOUR_CALM = 11


class Setting(IntEnum):
    """Parameters of SETTINGS."""

    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Broken(Exception):
    """The peer does not speak HTTP/2 as it must: the connection ends."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


_HEAD = struct.Struct(">IBI")
_NUMBER = struct.Struct(">I")
_SETTING = struct.Struct(">HI")


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame; ``stream`` 0 is the connection."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def head(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Length of the payload, kind, flags and stream of the frame that begins ``at``."""
    first, flags, stream = _HEAD.unpack_from(data, at)
    return first >> 8, first & 0xFF, flags, stream & 0x7FFFFFFF


def number(payload: bytes) -> int:
    """The 31 bits of WINDOW_UPDATE, or the error of RST_STREAM. Raises Broken."""
    if len(payload) != _NUMBER.size:
        raise Broken(Fault.FRAME_SIZE, f"{len(payload)} bytes where {_NUMBER.size} are expected")
    value: int = _NUMBER.unpack(payload)[0]
    return value & 0x7FFFFFFF


def window_update(stream: int, size: int) -> bytes:
    """So many bytes more may come."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def reset(stream: int, fault: Fault) -> bytes:
    """Nothing more of this stream."""
    return frame(Kind.RST_STREAM, 0, stream, _NUMBER.pack(fault))


def goaway(last: int, fault: Fault, message: str = "") -> bytes:
    """Streams above ``last`` were not and will not be looked at."""
    return frame(Kind.GOAWAY, 0, 0, _NUMBER.pack(last) + _NUMBER.pack(fault) + message.encode())


def settings(values: Iterable[tuple[Setting, int]]) -> bytes:
    """What holds for our side."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values))


def read_settings(payload: bytes) -> dict[int, int]:
    """What holds for the peer. Raises Broken."""
    if len(payload) % _SETTING.size:
        raise Broken(Fault.FRAME_SIZE, f"settings of {len(payload)} bytes")
    return dict(_SETTING.iter_unpack(payload))


def unpadded(payload: bytes, flags: int) -> bytes:
    """The payload of DATA or HEADERS without padding and priority. Raises Broken."""
    if flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise Broken(Fault.PROTOCOL, "padding is longer than its frame")
        payload = payload[1 : len(payload) - payload[0]]
    if not flags & PRIORITY_FIELDS:
        return payload
    if len(payload) < PRIORITY:
        raise Broken(Fault.FRAME_SIZE, "a frame ends in its priority")
    return payload[PRIORITY:]


def field(name: str, value: str) -> bytes:
    """A header field that is written out, and leaves nothing in the peer's table."""
    return b"\0" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    data = text.encode("ascii")
    size = len(data)
    if size < 0x7F:
        return bytes((size,)) + data
    length, size = bytearray((0x7F,)), size - 0x7F
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes(length) + data
