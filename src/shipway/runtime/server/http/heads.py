"""Heads of requests that came before. A client sends the same one again and again: it is read once. Pure.

To read one takes the parser eight calls into Python, to find it here one look. What is found is what the parser made of
the same bytes, so no two readers of HTTP can disagree about where a request ends.
"""

from __future__ import annotations

from msgspec import Struct

from shipway.runtime.server.http.messages import Incoming, Request

_MOST = 512  # of them that are kept
_LONGEST = 1024  # bytes of one
# Of a head with one of these nothing is kept: the first tell requests apart, so that it never comes again; the others
# say that the body comes in another way, or is a secret.
_NOT_KEPT = frozenset(
    {"x-request-id", "traceparent", "transfer-encoding", "expect", "upgrade", "authorization", "x-shipway-admin-key"}
)


class Known(Struct, frozen=True, gc=False):
    """What the parser found in a head. ``length``: bytes of the body."""

    method: str
    path: str
    headers: Incoming
    length: int


class Heads:
    """Of all connections of a server. When there are too many, all are forgotten: those in use come back at once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def find(self, data: bytes, now: float) -> Request | None:
        """The request that these bytes are, if they are one whole request whose head is known."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._known.get(data[:end])
        if known is None or len(data) - end != known.length:
            return None
        return Request(known.method, known.path, known.headers, now, data[end:])

    def learn(self, data: bytes, request: Request) -> None:
        """The parser has just made this request of these bytes, or of the end of them."""
        end = data.find(b"\r\n\r\n") + 4
        if end + len(request.body) != len(data) or end > _LONGEST or not (request.keep_alive and request.chunked):
            return
        if _NOT_KEPT.isdisjoint(request.headers):
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[data[:end]] = Known(request.method, request.path, request.headers, len(request.body))
