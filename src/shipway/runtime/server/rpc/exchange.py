"""One call of gRPC on a stream of HTTP/2: messages in, messages out, a status at the end.

Source: gRPC, "gRPC over HTTP2" (PROTOCOL-HTTP2.md) and "Compression".
"""

from __future__ import annotations

import asyncio
import math
import re
import time
import zlib
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.failure import OK, Failure
from shipway.runtime.server.rpc.frames import Broken, Fault, Kind
from shipway.runtime.server.rpc.sender import STALLED

_PREFIX = 5  # bytes before a message: whether it is packed, and its length
_MOST_HELD = 64 * 2**20  # bytes of all calls of a connection, or four messages of the greatest size
_ON_THE_LOOP = 4096  # bytes that are unpacked at once: they may become a thousand times as many
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_STATUS_200 = b"\x88"  # HPACK's static table
_BEGIN = _STATUS_200 + frames.field("content-type", "application/grpc")
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class Wire(Protocol):
    """The sending side of the connection, as an exchange needs it."""

    window: int
    initial: int
    largest: int
    held: int
    blocked: set[asyncio.Event]

    def send(self, data: bytes) -> None:
        """Soon, together with what else is to go out."""

    async def drained(self) -> None:
        """Return when the peer has taken most of what was sent."""


class Exchange:
    """``metadata`` is what came with the call; ``expires`` a time of ``time.monotonic()``."""

    def __init__(self, wire: Wire, stream: int, metadata: dict[str, Any], limit: int) -> None:
        self.stream = stream
        self.metadata = metadata
        self.expires = deadline(metadata.get("grpc-timeout"))
        self.task: asyncio.Task[None] | None = None
        self.complete = False  # the peer has sent everything
        self.ended = False  # by us, or by the peer
        self.abandoned = False
        self._wire = wire
        self._limit = limit
        self._granted = 0  # bytes that may be sent beside those of the initial window
        self._buffer = bytearray()  # what has come and was not taken; it is unpacked when it is
        self._begun = False
        self._news = asyncio.Event()

    def feed(self, data: bytes, *, last: bool) -> None:
        """Bytes of the caller. Raises Refused TOO_LARGE, OVERLOADED, and Broken for more than our window takes."""
        if data:
            self._buffer += data
            self._wire.held += len(data)
            if len(self._buffer) > window(self._limit):
                raise Broken(Fault.FLOW_CONTROL, f"stream {self.stream} sends more than it may")
            self._whole()
            if self._wire.held > max(4 * self._limit, _MOST_HELD):
                raise Refused(Reason.OVERLOADED, f"the calls of this connection hold {self._wire.held >> 20} MiB", 1.0)
        if last:
            self.complete = True
        self._news.set()

    def grow(self, size: int) -> None:
        """The caller takes so many bytes more. Raises Broken."""
        self._granted += size
        if self._wire.initial + self._granted >= 2**31:
            raise Broken(Fault.FLOW_CONTROL, f"the window of stream {self.stream} is too large")
        self._news.set()

    async def message(self) -> bytes | None:
        """The caller's next message; None behind the last. Taking it makes room for another. Raises Refused TOO_LARGE,
        INVALID."""
        while not (end := self._whole()):
            if self.complete:
                return None
            self._news.clear()
            await self._news.wait()
        return await self._take(end)

    async def only_message(self) -> bytes:
        """The message of a call that has one. Raises Refused TOO_LARGE, INVALID."""
        end = self._whole()
        if not end or end < len(self._buffer):
            found = "more came" if end else "none came"
            raise Refused(Reason.INVALID, f"this method takes one message, and {found}")
        return await self._take(end)

    def answer(self, data: bytes) -> bool:
        """The one answer and the good end of the call, at once; False where the peer's windows are too small."""
        size, wire = len(data) + _PREFIX, self._wire
        if size > min(wire.largest, wire.window, wire.initial + self._granted) or self._begun or self.ended:
            return False
        wire.window -= size
        self._begun = self.ended = True
        wire.send(
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
        """One answer, as fast as the peer takes it. Raises Refused CANCELLED when it takes nothing."""
        if self.ended:
            return
        wire = self._wire
        if not self._begun:
            self._begun = True
            wire.send(frames.frame(Kind.HEADERS, frames.END_HEADERS, self.stream, _BEGIN))
        rest = memoryview(b"\0" + len(data).to_bytes(4) + data)
        held = len(rest)
        wire.held += held
        try:
            while rest and not self.ended:
                size = min(wire.largest, wire.window, wire.initial + self._granted, len(rest))
                if size <= 0:
                    await self._room()
                    continue
                wire.window -= size
                self._granted -= size
                wire.send(frames.frame(Kind.DATA, 0, self.stream, bytes(rest[:size])))
                rest = rest[size:]
                await wire.drained()
        finally:
            wire.held -= held

    def end(self, failure: Failure = OK) -> None:
        """The status: nothing follows it."""
        if self.ended:
            return
        block = _trailers(failure) if self._begun else _BEGIN + _trailers(failure)
        self.ended = True
        data = frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, self.stream, block)
        # RFC 9113 section 8.1: what the caller still sends is not wanted.
        self._wire.send(data if self.complete else data + frames.reset(self.stream, Fault.NO_ERROR))

    def refuse_http(self, status: int) -> None:
        """It is no call of gRPC: an answer of HTTP."""
        self.ended = True
        block = frames.field(":status", str(status))
        self._wire.send(
            frames.frame(Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, self.stream, block)
            + frames.reset(self.stream, Fault.NO_ERROR)
        )

    def abandon(self) -> None:
        """The caller is gone: nothing is sent any more."""
        self.ended = self.abandoned = True

    def drop(self) -> None:
        """Forget what was not taken."""
        self._wire.held -= len(self._buffer)
        self._buffer = bytearray()

    async def _room(self) -> None:
        """Until a window has grown, or there is other news."""
        self._news.clear()
        self._wire.blocked.add(self._news)
        try:
            async with asyncio.timeout(STALLED):
                await self._news.wait()
        except TimeoutError as error:
            raise Refused(Reason.CANCELLED, f"nothing was read for {STALLED:g} s") from error
        finally:
            self._wire.blocked.discard(self._news)

    def _whole(self) -> int:
        """Where the first message ends; 0 where none is whole. Raises Refused TOO_LARGE, INVALID."""
        buffer = self._buffer
        if len(buffer) >= _PREFIX:
            size = int.from_bytes(buffer[1:_PREFIX])
            if size > self._limit:
                raise too_large(self._limit)
            if len(buffer) >= _PREFIX + size:
                return _PREFIX + size
        if buffer and self.complete:
            raise Refused(Reason.INVALID, "the call ended in the middle of a message")
        return 0

    async def _take(self, end: int) -> bytes:
        packed, data = self._buffer[0], bytes(memoryview(self._buffer)[_PREFIX:end])
        del self._buffer[:end]
        self._wire.held -= end
        if not self.complete:
            self._wire.send(frames.window_update(self.stream, end))
        if not packed:
            return data
        if end <= _ON_THE_LOOP:
            return self._unpacked(data)
        return await asyncio.get_running_loop().run_in_executor(None, self._unpacked, data)

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


def window(limit: int) -> int:
    """Bytes of one stream that may come before any is taken: a whole message, so that unary calls need no update."""
    return min(max(limit + 1024, frames.WINDOW), 2**31 - 1)


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
        fields.append(frames.field("grpc-message", quote(failure.message, safe=_PRINTABLE, errors="replace")))
    return b"".join((*fields, *(frames.field(name, value) for name, value in failure.trailers)))
