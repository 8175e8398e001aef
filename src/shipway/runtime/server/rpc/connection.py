"""One connection of HTTP/2: frames in and out, windows, and an exchange for each stream.

Our own, because grpc.aio takes 230 us of CPU for a call that answers nothing, and this 45 us (bench/serving): its core
has threads of its own, and each step of a call crosses into ours and back. Only what gRPC needs of HTTP/2 is here.
Source: RFC 9113.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

from hpack import Decoder, HPACKError

from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.exchange import Exchange
from shipway.runtime.server.rpc.failure import Code, Failure, failure_of
from shipway.runtime.server.rpc.frames import Broken, Fault, Kind, Setting
from shipway.runtime.server.rpc.handlers import Method

_MOST_STREAMS = 1024
_LONGEST_HEADERS = 65536  # bytes
_ROOM = 2**20  # bytes of all streams together that may come before we say that more may
_MOST_RESETS = 1000  # in a row, without one call that was answered: an attack (CVE-2023-44487)


class Connection:
    """The server's side, an ``asyncio.Protocol`` by its methods. ``limit``: bytes of a message."""

    def __init__(self, methods: Mapping[str, Method], limit: int, living: set[Connection]) -> None:
        self.window = frames.WINDOW  # bytes that may be sent now, of all streams
        self.largest = frames.LARGEST
        self._methods = methods
        self._limit = limit
        self._living = living
        self._transport: Any = None
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._preface = len(frames.PREFACE)
        self._decoder = Decoder(max_header_list_size=_LONGEST_HEADERS)
        self._exchanges: dict[int, Exchange] = {}
        self._peer_window = frames.WINDOW  # of streams that begin
        self._last = 0
        self._headers: tuple[int, int, bytes] | None = None  # stream, flags and block that goes on in CONTINUATION
        self._taken = 0
        self._resets = 0
        self._out: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._leaving = False

    # asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._living.add(self)
        room = max(self._limit + 1024, frames.WINDOW)  # a whole message: unary calls need no update
        self.send(
            frames.settings(
                (
                    (Setting.MAX_CONCURRENT_STREAMS, _MOST_STREAMS),
                    (Setting.INITIAL_WINDOW_SIZE, min(room, 2**31 - 1)),
                )
            )
            + frames.window_update(0, 2**30)
        )

    def connection_lost(self, error: Exception | None) -> None:
        self._living.discard(self)
        self._writable.set()
        for exchange in list(self._exchanges.values()):
            exchange.abandon()

    def eof_received(self) -> None:
        """The peer says no more: then nobody waits for answers either, and the transport closes."""

    def pause_writing(self) -> None:
        self._writable.clear()
        self._transport.pause_reading()  # who does not read is not read from: nothing piles up

    def resume_writing(self) -> None:
        self._writable.set()
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        try:
            self._read(self._buffer + data if self._buffer else data)
        except Broken as broken:
            self._break_off(broken.fault, str(broken))

    # What exchanges need

    def send(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def drained(self) -> None:
        if not self._writable.is_set():
            await self._writable.wait()

    def over(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange.stream, None)
        if self._leaving and not self._exchanges:
            self.close()

    # The end

    def leave(self) -> None:
        """Take no new streams, and close when those that are there have ended."""
        self._leaving = True
        self.send(frames.goaway(self._last, Fault.NO_ERROR))
        if not self._exchanges:
            self.close()

    def cut(self) -> None:
        """End what has not ended."""
        for exchange in list(self._exchanges.values()):
            if exchange.task is not None:
                exchange.task.cancel()
        self._loop.call_soon(self.close)

    def close(self) -> None:
        """Send what is to be sent, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _break_off(self, fault: Fault, message: str) -> None:
        self._out.append(frames.goaway(self._last, fault, message))
        self.close()

    # Frames

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        if self._preface:
            begun = data[: self._preface]
            if not frames.PREFACE.startswith(begun):
                raise Broken(Fault.PROTOCOL, "this port speaks HTTP/2 with prior knowledge, for gRPC")
            if len(begun) < self._preface:
                self._buffer = data
                return
            at, self._preface = self._preface, 0
        while size - at >= frames.HEAD:
            length, kind, flags, stream = frames.head(data, at)
            if length > frames.LARGEST:
                raise Broken(Fault.FRAME_SIZE, f"a frame of {length} bytes")
            end = at + frames.HEAD + length
            if end > size:
                break
            self._take(kind, flags, stream, data[at + frames.HEAD : end])
            at = end
        self._buffer = data[at:]
        if self._taken > _ROOM:
            self.send(frames.window_update(0, self._taken))
            self._taken = 0

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._headers is not None and (kind != Kind.CONTINUATION or stream != self._headers[0]):
            raise Broken(Fault.PROTOCOL, "a header block is not continued")
        match kind:
            case Kind.DATA:
                self._data(flags, stream, payload)
            case Kind.HEADERS:
                self._begin_headers(flags, stream, frames.unpadded(payload, flags))
            case Kind.CONTINUATION:
                self._continue_headers(flags, payload)
            case Kind.WINDOW_UPDATE:
                self._grow(stream, frames.number(payload))
            case Kind.RST_STREAM:
                self._reset(stream)
            case Kind.SETTINGS if not flags & frames.ACK:
                self._settings(payload)
            case Kind.PING if not flags & frames.ACK:
                self.send(frames.frame(Kind.PING, frames.ACK, 0, payload))
            case Kind.PUSH_PROMISE:
                raise Broken(Fault.PROTOCOL, "clients promise nothing")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._taken += len(payload)  # padding counts, and so does what comes for streams that have ended
        exchange = self._exchanges.get(stream)
        if exchange is None:
            if stream > self._last or not stream:
                raise Broken(Fault.PROTOCOL, f"data for stream {stream}, which was never opened")
            return
        self._feed(exchange, frames.unpadded(payload, flags & frames.PADDED), last=bool(flags & frames.END_STREAM))

    def _feed(self, exchange: Exchange, data: bytes, *, last: bool) -> None:
        try:
            exchange.feed(data, last=last)
        except Refused as refusal:
            self._give_up(exchange, failure_of(refusal))
            return
        if last and exchange.task is None:
            self._start(exchange, self._methods[exchange.metadata[":path"]])

    def _begin_headers(self, flags: int, stream: int, block: bytes) -> None:
        if not stream % 2:
            raise Broken(Fault.PROTOCOL, f"stream {stream} is not a client's")
        if flags & frames.END_HEADERS:
            self._open(flags, stream, block)
        else:
            self._headers = (stream, flags, block)

    def _continue_headers(self, flags: int, block: bytes) -> None:
        if self._headers is None:
            raise Broken(Fault.PROTOCOL, "a continuation of nothing")
        stream, first, before = self._headers
        if len(before) + len(block) > _LONGEST_HEADERS:
            raise Broken(Fault.ENHANCE_YOUR_CALM, f"headers of more than {_LONGEST_HEADERS} bytes")
        self._headers = (stream, first, before + block)
        if flags & frames.END_HEADERS:
            self._headers = None
            self._open(first, stream, before + block)

    def _open(self, flags: int, stream: int, block: bytes) -> None:
        try:
            decoded = self._decoder.decode(block, raw=True)
        except HPACKError as error:
            raise Broken(Fault.COMPRESSION, str(error)) from error
        last = bool(flags & frames.END_STREAM)
        if stream <= self._last:  # trailers of the caller: gRPC has none, but they end its side
            exchange = self._exchanges.get(stream)
            if exchange is not None:
                self._feed(exchange, b"", last=True)
            return
        self._last = stream
        if self._leaving or len(self._exchanges) >= _MOST_STREAMS:
            self.send(frames.reset(stream, Fault.REFUSED_STREAM))
            return
        metadata = {str(name, "latin-1"): str(value, "latin-1") for name, value in decoded}
        exchange = Exchange(self, stream, metadata, self._peer_window, self._limit)
        if not metadata.get("content-type", "").startswith("application/grpc"):
            exchange.refuse_http(415)
            return
        method = self._methods.get(metadata.get(":path", ""))
        if method is None:
            exchange.end(Failure(Code.UNIMPLEMENTED, f"no such method {metadata.get(':path')!r}"))
            return
        self._exchanges[stream] = exchange
        if method.streams:
            self._start(exchange, method)
        if last:
            self._feed(exchange, b"", last=True)

    def _start(self, exchange: Exchange, method: Method) -> None:
        task = exchange.task = self._loop.create_task(method.run(exchange))  # type: ignore[arg-type]
        timer = None
        if exchange.expires != math.inf:
            timer = self._loop.call_later(max(0.0, exchange.expires - time.monotonic()), task.cancel)

        def done(_task: asyncio.Task[None]) -> None:
            if timer is not None:
                timer.cancel()
            self._resets = 0
            self.over(exchange)

        task.add_done_callback(done)

    def _give_up(self, exchange: Exchange, failure: Failure) -> None:
        exchange.end(failure)
        if exchange.task is None:
            self.over(exchange)
        else:
            exchange.task.cancel()

    def _reset(self, stream: int) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return
        self._resets += 1
        if self._resets > _MOST_RESETS:
            raise Broken(Fault.ENHANCE_YOUR_CALM, "calls are begun only to be taken back")
        exchange.abandon()
        if exchange.task is None:
            self.over(exchange)

    def _grow(self, stream: int, size: int) -> None:
        if not stream:
            self.window += size
            if self.window >= 2**31:
                raise Broken(Fault.FLOW_CONTROL, "the window is too large")
            for exchange in self._exchanges.values():
                exchange.wake()
        elif (one := self._exchanges.get(stream)) is not None:
            one.window += size
            one.wake()

    def _settings(self, payload: bytes) -> None:
        values = frames.read_settings(payload)
        window = values.get(Setting.INITIAL_WINDOW_SIZE)
        if window is not None:
            if window >= 2**31:
                raise Broken(Fault.FLOW_CONTROL, "the initial window is too large")
            for exchange in self._exchanges.values():
                exchange.window += window - self._peer_window
                exchange.wake()
            self._peer_window = window
        self.largest = min(values.get(Setting.MAX_FRAME_SIZE, self.largest), 2**20)
        self.send(frames.frame(Kind.SETTINGS, frames.ACK, 0))
