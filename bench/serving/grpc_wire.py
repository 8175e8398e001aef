"""gRPC as a load needs it: one call at a time on a connection, the same bytes every time but for the message.

grpcio's client takes as much of a core as a good server and would measure itself. What is left out is what the load
does not need: headers of answers are not decoded (an answer is judged by its message), and windows are opened so wide
that they never close. Source: RFC 9113 (frames), RFC 7541 (literal headers), gRPC over HTTP2.
"""

from __future__ import annotations

import socket
import struct

from bench.serving.load import Torn

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 1, 4, 1, 8
_WIDEST = 2**31 - 1
_METHOD = b"/inference.GRPCInferenceService/ModelInfer"
_PATIENCE = 20.0


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113, section 4.1."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


_HEAD = b"".join(
    (
        b"\x83\x86",  # :method POST, :scheme http, of the static table
        _literal(b":path", _METHOD),
        _literal(b":authority", b"127.0.0.1"),
        _literal(b"content-type", b"application/grpc"),
        _literal(b"te", b"trailers"),
    )
)
_HELLO = b"".join(
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        frame(_SETTINGS, 0, 0, struct.pack(">HIHI", 2, 0, 4, _WIDEST)),  # no push, wide streams
        frame(_WINDOW, 0, 0, struct.pack(">I", _WIDEST - 65535)),
    )
)


class GrpcConnection:
    """A connection that is kept open, one call at a time; the form of load.Connection."""

    def __init__(self, port: int) -> None:
        self.number = -1
        self.due = 0.0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_HELLO)
        self._stream = -1
        self._got = b""
        self._data = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, request: bytes, number: int, due: float) -> None:
        """Call ModelInfer with this message."""
        self.number, self.due, self._data = number, due, b""
        self._stream += 2
        message = b"\0" + len(request).to_bytes(4, "big") + request
        self._socket.sendall(
            frame(_HEADERS, _END_HEADERS, self._stream, _HEAD) + frame(_DATA, _END_STREAM, self._stream, message)
        )

    def receive(self) -> tuple[int, bytes] | None:
        """200 and the message once the call has ended, 500 without one. Raises Torn."""
        chunk = self._socket.recv(65536)
        if not chunk:
            raise Torn("the connection was closed")
        got, place, ended = self._got + chunk, 0, False
        while len(got) - place >= 9 and len(got) - place >= (
            whole := 9 + int.from_bytes(got[place : place + 3], "big")
        ):
            kind, flags, stream = struct.unpack_from(">BBI", got, place + 3)
            ended |= self._take(kind, flags, stream, got[place + 9 : place + whole])
            place += whole
        self._got = got[place:]
        if not ended:
            return None
        return (200, self._data[5:]) if self._data else (500, b"")

    def close(self) -> None:
        self._socket.close()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        """Whether this frame ends the call."""
        if kind == _GOAWAY or (kind == _DATA and flags & _PADDED):
            raise Torn(f"frame {kind} with flags {flags}: {payload[:200]!r}")
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._socket.sendall(frame(kind, _ACK, 0, payload if kind == _PING else b""))
        if stream != self._stream:
            return False
        if kind == _DATA:
            self._data += payload
        return kind == _RESET or (kind in (_DATA, _HEADERS) and bool(flags & _END_STREAM))
