"""One call of gRPC on a stream of HTTP/2: messages in, messages out, a status at the end.

Source: gRPC, "gRPC over HTTP2" (PROTOCOL-HTTP2.md) and "Compression".
"""

from __future__ import annotations

import asyncio
import math
import re
import time
import zlib
from collections import deque
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.failure import OK, Failure
from shipway.runtime.server.rpc.frames import Fault, Kind

_PREFIX = 5  # bytes before a message: whether it is packed, and its length
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_STATUS_200 = b"\x88"  # HPACK's static table
_BEGIN = _STATUS_200 + frames.field("content-type", "application/grpc")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class Wire(Protocol):
    """The connection, as an exchange needs it."""

    window: int
    largest: int

    def send(self, data: bytes) -> None:
        """Soon, together with what else is to go out."""

    async def drained(self) -> None:
        """Return when the peer has taken most of what was sent."""

    def over(self, exchange: Exchange) -> None:
        """It has ended."""


class Exchange:
    """``metadata`` is what came with the call; ``expires`` a time of ``time.monotonic()``."""

    def __init__(self, wire: Wire, stream: int, metadata: dict[str, Any], window: int, limit: int) -> None:
        self.stream = stream
        self.metadata = metadata
        self.expires = deadline(metadata.get("grpc-timeout"))
        self.task: asyncio.Task[None] | None = None
        self.window = window  # bytes that may be sent now
        self._wire = wire
        self._limit = limit
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._complete = False  # the peer has sent everything
        self._begun = False
        self._ended = False
        self._news = asyncio.Event()

    @property
    def complete(self) -> bool:
        """Whether all messages of the caller are here."""
        return self._complete

    def feed(self, data: bytes, *, last: bool) -> None:
        """Bytes of the caller. Raises Refused TOO_LARGE, INVALID."""
        if data:
            self._buffer += data
            self._split()
        if last:
            self._complete = True
            if self._buffer:
                raise Refused(Reason.INVALID, "the call ended in the middle of a message")
        self._news.set()

    async def message(self) -> bytes | None:
        """The caller's next message; None behind the last. Taking it makes room for another."""
        while not self._messages:
            if self._complete:
                return None
            self._news.clear()
            await self._news.wait()
        data = self._messages.popleft()
        if not self._complete:
            self._wire.send(frames.window_update(self.stream, len(data) + _PREFIX))
        return data

    def only_message(self) -> bytes:
        """The message of a call that has one. Raises Refused INVALID."""
        if len(self._messages) != 1:
            raise Refused(Reason.INVALID, f"this method takes one message, and {len(self._messages)} came")
        return self._messages.popleft()

    def answer(self, data: bytes) -> bool:
        """The one answer and the good end of the call, at once; False where the peer's windows are too small."""
        size = len(data) + _PREFIX
        if size > min(self._wire.largest, self._wire.window, self.window) or self._begun:
            return False
        self._wire.window -= size
        self._begun = self._ended = True
        self._wire.send(
            b"".join(
                (
                    frames.frame(Kind.HEADERS, frames.END_HEADERS, self.stream, _BEGIN),
                    frames.frame(Kind.DATA, 0, self.stream, b"\0" + len(data).to_bytes(4) + data),
                    frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, self.stream, _trailers(OK)),
                )
            )
        )
        return True

    async def write(self, data: bytes) -> None:
        """One answer, as fast as the peer takes it."""
        self._begin()
        rest = memoryview(b"\0" + len(data).to_bytes(4) + data)
        while rest:
            size = min(self._wire.largest, self._wire.window, self.window, len(rest))
            if size <= 0:
                self._news.clear()
                await self._news.wait()
                continue
            self._wire.window -= size
            self.window -= size
            self._wire.send(frames.frame(Kind.DATA, 0, self.stream, bytes(rest[:size])))
            rest = rest[size:]
            await self._wire.drained()

    def end(self, failure: Failure = OK) -> None:
        """The status: nothing follows it."""
        if self._ended:
            return
        self._ended = True
        block = _trailers(failure) if self._begun else _BEGIN + _trailers(failure)
        data = frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, self.stream, block)
        # RFC 9113 section 8.1: what the caller still sends is not wanted.
        self._wire.send(data if self._complete else data + frames.reset(self.stream, Fault.NO_ERROR))

    def refuse_http(self, status: int) -> None:
        """It is no call of gRPC: an answer of HTTP."""
        self._ended = True
        block = frames.field(":status", str(status))
        self._wire.send(
            frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, self.stream, block)
            + frames.reset(self.stream, Fault.NO_ERROR)
        )

    def abandon(self) -> None:
        """The caller is gone: nothing is sent any more."""
        self._ended = True
        if self.task is not None:
            self.task.cancel()

    def wake(self) -> None:
        """A window has grown."""
        self._news.set()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._wire.send(frames.frame(Kind.HEADERS, frames.END_HEADERS, self.stream, _BEGIN))

    def _split(self) -> None:
        buffer = self._buffer
        while len(buffer) >= _PREFIX:
            size = int.from_bytes(buffer[1:_PREFIX])
            if size > self._limit:
                raise too_large(self._limit)
            end = _PREFIX + size
            if len(buffer) < end:
                return
            data = bytes(memoryview(buffer)[_PREFIX:end])
            self._messages.append(self._unpacked(data) if buffer[0] else data)
            del buffer[:end]

    def _unpacked(self, data: bytes) -> bytes:
        coding = self.metadata.get("grpc-encoding", "identity")
        if coding == "identity":
            raise Refused(Reason.INVALID, "a message is marked as packed, and grpc-encoding is identity")
        if coding not in ("gzip", "deflate"):
            raise Refused(Reason.INVALID, f"grpc-encoding {coding!r} is not supported: gzip and deflate are")
        unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, as the data says
        try:
            whole = unpacker.decompress(data, self._limit + 1)
        except zlib.error as error:
            raise Refused(Reason.INVALID, f"a message is not {coding}: {error}") from error
        if len(whole) > self._limit:
            raise too_large(self._limit)
        if not unpacker.eof:
            raise Refused(Reason.INVALID, f"a message is cut off: its {coding} does not end")
        return whole


def deadline(text: str | None) -> float:
    """When a call that names that timeout is worthless: a time of ``time.monotonic()``, inf without one."""
    if text is None:
        return math.inf
    found = _TIMEOUT.fullmatch(text)
    return time.monotonic() + int(found[1]) * _UNITS[found[2]] if found else math.inf


def too_large(limit: int) -> Refused:
    """The refusal of a message."""
    return Refused(
        Reason.TOO_LARGE, f"the message is larger than {limit} bytes (maxBody in the service's server block)"
    )


@lru_cache(maxsize=64)
def _trailers(failure: Failure) -> bytes:
    fields = [frames.field("grpc-status", str(failure.code))]
    if failure.message:
        fields.append(frames.field("grpc-message", quote(failure.message, safe=_PRINTABLE)))
    return b"".join((*fields, *(frames.field(name, value) for name, value in failure.trailers)))
