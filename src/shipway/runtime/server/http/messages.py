"""A request that came whole, and the parts of an answer: what the connection and the application exchange."""

from __future__ import annotations

from msgspec import Struct

Headers = tuple[tuple[str, str], ...]
Incoming = dict[str, str]  # names in lower case; of a repeated one the first


class Request(Struct, eq=False):
    """``path`` is percent-decoded and without its query. ``came``: when its head was whole, of ``time.monotonic()``."""

    method: str
    path: str
    headers: Incoming
    came: float
    body: bytes = b""
    keep_alive: bool = True
    chunked: bool = True  # whether an answer without a length can be told in chunks (HTTP/1.1)


REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    499: b"Client Closed Request",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


def head(status: int, headers: Headers, date: bytes) -> bytes:
    """The first lines of an answer, without the empty one. Source: RFC 9112 section 4, RFC 9110 section 6.6.1 (Date).

    Values are told as they came: a request's own id may have bytes that are no ASCII.
    """
    lines = [b"HTTP/1.1 %d %b\r\ndate: %b\r\n" % (status, REASONS.get(status, b"Other"), date)]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers]
    return b"".join(lines)
