"""One connection of HTTP/2: bytes in, frames handed on to whom they concern.

Our own, because grpc.aio takes 230 us of CPU for a call that answers nothing, and this 45 us (bench/serving): its core
has threads of its own, and each step of a call crosses into ours and back. Only what gRPC needs of HTTP/2 is here.
``blocks`` decodes headers, ``streams`` keeps the calls, ``sender`` sends. Source: RFC 9113.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shipway.runtime.server.rpc import blocks, frames, streams
from shipway.runtime.server.rpc.blocks import Blocks, Head
from shipway.runtime.server.rpc.exchange import window
from shipway.runtime.server.rpc.frames import Broken, Fault, Kind, Setting
from shipway.runtime.server.rpc.handlers import Method
from shipway.runtime.server.rpc.sender import Sender
from shipway.runtime.server.rpc.streams import Streams

_ROOM = 2**20  # bytes of all streams together that may come before we say that more may


class Connection:
    """The server's side, an ``asyncio.Protocol`` by its methods. ``limit``: bytes of a message."""

    def __init__(self, methods: Mapping[str, Method], limit: int, living: set[Connection]) -> None:
        self._methods = methods
        self._limit = limit
        self._living = living
        self._buffer = b""
        self._preface = len(frames.PREFACE)
        self._blocks = Blocks()
        self._taken = 0

    def connection_made(self, transport: Any) -> None:
        self._sender = Sender(transport)
        self._streams = Streams(self._sender, self._methods, self._limit)
        self._living.add(self)
        values = (
            (Setting.MAX_CONCURRENT_STREAMS, streams.MOST),
            (Setting.INITIAL_WINDOW_SIZE, window(self._limit)),
            (Setting.MAX_HEADER_LIST_SIZE, blocks.LONGEST),
        )
        self._sender.send(frames.settings(values) + frames.window_update(0, 2**30))

    def connection_lost(self, error: Exception | None) -> None:
        self._living.discard(self)
        self._sender.lost()
        self._streams.abandon()

    def eof_received(self) -> None:
        """The peer says no more: then nobody waits for answers either."""
        self._sender.close()

    def pause_writing(self) -> None:
        self._sender.pause()

    def resume_writing(self) -> None:
        self._sender.resume()

    def data_received(self, data: bytes) -> None:
        try:
            self._read(self._buffer + data if self._buffer else data)
        except Broken as broken:
            self._sender.send(frames.goaway(self._streams.last, broken.fault, str(broken)))
            self._sender.close()
            self._streams.abandon()

    def leave(self) -> None:
        """Take no new streams, and close when those that are there have ended."""
        self._streams.leave()

    def cut(self) -> None:
        """End what has not ended."""
        self._streams.cancel()
        asyncio.get_running_loop().call_soon(self._sender.close)

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
            self._sender.send(frames.window_update(0, self._taken))
            self._taken = 0

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._blocks.unfinished and kind != Kind.CONTINUATION:
            raise Broken(Fault.PROTOCOL, "a header block is not continued")
        match kind:
            case Kind.DATA:
                self._taken += len(payload)  # padding counts, and so does what comes for streams that have ended
                data = frames.unpadded(payload, flags & frames.PADDED)
                last = bool(flags & frames.END_STREAM)
                self._streams.data(stream, data, last=last, padding=len(payload) - len(data))
            case Kind.HEADERS:
                self._begin(self._blocks.begin(flags, stream, payload))
            case Kind.CONTINUATION:
                self._begin(self._blocks.go_on(flags, stream, payload))
            case Kind.WINDOW_UPDATE:
                size = frames.number(payload)
                if not size:
                    raise Broken(Fault.PROTOCOL, "a window update of nothing")
                if stream:
                    self._streams.grow(stream, size)
                else:
                    self._sender.grow(size)
            case Kind.RST_STREAM:
                frames.number(payload)
                self._streams.reset(stream)
            case Kind.SETTINGS | Kind.PING | Kind.GOAWAY:
                self._control(kind, flags, stream, payload)
            case Kind.PRIORITY:  # what it says counts no longer (RFC 9113 section 5.3.2), its form does
                if not stream:
                    raise Broken(Fault.PROTOCOL, "a priority of no stream")
                if len(payload) != frames.PRIORITY:
                    raise Broken(Fault.FRAME_SIZE, f"a priority of {len(payload)} bytes")
            case Kind.PUSH_PROMISE:
                raise Broken(Fault.PROTOCOL, "clients promise nothing")

    def _begin(self, head: Head | None) -> None:
        if head is not None:
            self._streams.begin(head)

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """A frame about the whole connection. Its answers pile up nowhere: see Sender.pause."""
        if stream:
            raise Broken(Fault.PROTOCOL, f"a frame about the whole connection names stream {stream}")
        if kind == Kind.PING:
            if len(payload) != frames.PING:
                raise Broken(Fault.FRAME_SIZE, f"a ping of {len(payload)} bytes")
            if not flags & frames.ACK:
                self._sender.send(frames.frame(Kind.PING, frames.ACK, 0, payload))
        elif kind == Kind.SETTINGS and flags & frames.ACK:
            if payload:
                raise Broken(Fault.FRAME_SIZE, "settings are acknowledged with bytes")
        elif kind == Kind.SETTINGS:
            self._sender.settle(frames.read_settings(payload))
            self._sender.send(frames.frame(Kind.SETTINGS, frames.ACK, 0))
