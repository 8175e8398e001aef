"""The calls of one connection, by the numbers of their streams.

Source: RFC 9113 sections 5.1 (states), 6.1 (DATA) and 6.4 (RST_STREAM).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping

from shipway.runtime.server.lingering import Lingering
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.blocks import Head, check_request
from shipway.runtime.server.rpc.exchange import Exchange
from shipway.runtime.server.rpc.failure import Code, Failure, failure_of
from shipway.runtime.server.rpc.frames import Broken, Fault
from shipway.runtime.server.rpc.handlers import Method
from shipway.runtime.server.rpc.sender import Sender

MOST = 1024  # at a time
_MOST_RESETS = 1000  # in a row, without one call that was answered: an attack (CVE-2023-44487)
_REMEMBERED = 4096  # streams that have ended: more than can have ended since what is under way was sent
_MESSAGE_TAKES = 30.0  # seconds for all of a call's one message to come, and at most twice as long
_LATE = Failure(Code.DEADLINE_EXCEEDED, "the message did not come")
_LOST = Failure(Code.INTERNAL, "the call ended without an answer")


class Streams:
    """Begins and ends exchanges. What breaks the rules of HTTP/2 ends the whole connection (RFC 9113 section 5.4.2
    allows it): a stream that is reset by us is one that its peer can have for nothing (CVE-2025-8671)."""

    def __init__(self, sender: Sender, methods: Mapping[str, Method], limit: int) -> None:
        self.last = 0
        self._sender = sender
        self._methods = methods
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._exchanges: dict[int, Exchange] = {}
        self._coming: Lingering[Exchange, None] = Lingering(_MESSAGE_TAKES, self._late)
        self._closed: dict[int, bool] = {}  # the last that ended, and whether its peer may not know that yet
        self._resets = 0
        self._leaving = False

    def begin(self, head: Head) -> None:
        """A header block: a new call, or trailers of the caller, which gRPC has not, but they end its side."""
        stream, fields = head.stream, head.fields
        if stream <= self.last:
            exchange = self._receiving(stream)
            if exchange is not None:
                if not head.last or any(name.startswith(":") for name in fields):
                    raise Broken(Fault.PROTOCOL, f"stream {stream} begins twice")
                self._feed(exchange, b"", last=True)
            return
        check_request(fields)
        self.last = stream
        if self._leaving or len(self._exchanges) >= MOST:
            self._sender.send(frames.reset(stream, Fault.REFUSED_STREAM))
            self._close(stream, may_go_on=not head.last)
            return
        exchange = Exchange(self._sender, stream, fields, self._limit)
        if not fields.get("content-type", "").startswith("application/grpc"):
            exchange.refuse_http(415)
            self._close(stream, may_go_on=not head.last)
            return
        method = self._methods.get(fields[":path"])
        if method is None:
            exchange.end(Failure(Code.UNIMPLEMENTED, f"no such method {fields[':path']!r}"))
            self._close(stream, may_go_on=not head.last)
            return
        self._exchanges[stream] = exchange
        if method.streams:
            self._start(exchange, method)
        else:
            self._coming.enter(exchange, None)
        if head.last:
            self._feed(exchange, b"", last=True)

    def data(self, stream: int, payload: bytes, *, last: bool, padding: int = 0) -> None:
        """Bytes of a caller, of which ``padding`` more came with them. Raises Broken."""
        exchange = self._receiving(stream)
        if exchange is None:
            return
        if padding and not last:
            self._sender.send(frames.window_update(stream, padding))
        self._feed(exchange, payload, last=last)

    def reset(self, stream: int) -> None:
        """The caller takes a call back. Raises Broken."""
        exchange = self._known(stream)
        if exchange is None:
            if stream in self._closed:
                self._closed[stream] = False
            return
        self._resets += 1
        if self._resets > _MOST_RESETS:
            raise Broken(Fault.ENHANCE_YOUR_CALM, "calls are begun only to be taken back")
        self._abandon(exchange)

    def grow(self, stream: int, size: int) -> None:
        """The caller takes so many bytes more. Raises Broken."""
        exchange = self._known(stream)
        if exchange is not None:
            exchange.grow(size)

    def leave(self) -> None:
        """Take no new streams, and close when those that are there have ended."""
        self._leaving = True
        self._sender.send(frames.goaway(self.last, Fault.NO_ERROR))
        if not self._exchanges:
            self._sender.close()

    def cancel(self) -> None:
        """Tell all callers that this is the end."""
        for exchange in list(self._exchanges.values()):
            if exchange.task is not None:
                exchange.task.cancel()

    def abandon(self) -> None:
        """All callers are gone."""
        for exchange in list(self._exchanges.values()):
            self._abandon(exchange)

    def _known(self, stream: int) -> Exchange | None:
        """None for one that has ended. Raises Broken for one that was never opened."""
        if not stream or stream > self.last:
            raise Broken(Fault.PROTOCOL, f"stream {stream} was never opened")
        return self._exchanges.get(stream)

    def _receiving(self, stream: int) -> Exchange | None:
        """Whose bytes these are; None when they were under way as we ended the stream. Raises Broken."""
        exchange = self._known(stream)
        if exchange is None:
            if stream not in self._closed:
                raise Broken(Fault.PROTOCOL, f"stream {stream} was passed over")
            if not self._closed[stream]:
                raise Broken(Fault.STREAM_CLOSED, f"stream {stream} goes on after its end")
            return None
        if exchange.complete or exchange.abandoned:
            raise Broken(Fault.STREAM_CLOSED, f"stream {stream} goes on after its end")
        return None if exchange.ended else exchange

    def _close(self, stream: int, *, may_go_on: bool) -> None:
        self._closed[stream] = may_go_on
        if len(self._closed) > _REMEMBERED:
            del self._closed[next(iter(self._closed))]

    def _feed(self, exchange: Exchange, data: bytes, *, last: bool) -> None:
        try:
            exchange.feed(data, last=last)
        except Refused as refusal:
            self._give_up(exchange, failure_of(refusal))
            return
        if last and exchange.task is None:
            self._coming.leave(exchange)
            self._start(exchange, self._methods[exchange.metadata[":path"]])

    def _start(self, exchange: Exchange, method: Method) -> None:
        task = exchange.task = self._loop.create_task(method.run(exchange))  # type: ignore[arg-type]
        timer = None
        if exchange.expires != math.inf:
            timer = self._loop.call_later(max(0.0, exchange.expires - time.monotonic()), task.cancel)

        def done(_task: asyncio.Task[None]) -> None:
            if timer is not None:
                timer.cancel()
            if not exchange.abandoned:
                self._resets = 0
            exchange.end(_LOST)
            self._over(exchange)

        task.add_done_callback(done)

    def _late(self, exchange: Exchange, _: None) -> None:
        self._give_up(exchange, _LATE)

    def _give_up(self, exchange: Exchange, failure: Failure) -> None:
        exchange.end(failure)
        self._stop(exchange)

    def _abandon(self, exchange: Exchange) -> None:
        exchange.abandon()
        self._stop(exchange)

    def _stop(self, exchange: Exchange) -> None:
        """Its place is free when its work has ended."""
        if exchange.task is None:
            self._over(exchange)
        else:
            exchange.task.cancel()

    def _over(self, exchange: Exchange) -> None:
        self._coming.leave(exchange)
        exchange.drop()
        if self._exchanges.pop(exchange.stream, None) is not None:
            self._close(exchange.stream, may_go_on=not (exchange.complete or exchange.abandoned))
        if self._leaving and not self._exchanges:
            self._sender.close()
