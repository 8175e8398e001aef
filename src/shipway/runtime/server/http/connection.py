"""One connection of HTTP/1.1: bytes in, whole requests to the application, answers out, one after another.

httptools (llhttp, the parser of Node.js) reads the messages; this says how many bytes may wait, until when they must
come, and what becomes of a connection. It was granian before: its threads and ours pass the interpreter's lock around,
30 us of CPU for a request that answers nothing where this takes 9. Source: RFC 9112; RFC 9110 section 10.1.1 (Expect).
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import httptools
from msgspec import Struct

from shipway.runtime.server.http.heads import Heads
from shipway.runtime.server.http.messages import Headers, Incoming, Request, head
from shipway.runtime.server.http.replies import JSON, HttpError, Reply, gone, too_large
from shipway.runtime.server.http.turn import Turn
from shipway.runtime.server.refusals import Refused

HEAD_TAKES = 30.0  # seconds for a head; also how long a connection may idle. The gateway ends its idle ones after 4 s.
BODY_TAKES = 60.0  # seconds for all of a body
LAST_BYTES = 2.0  # seconds that a client who was refused may go on sending, and a body may take when the server ends
STALLED = 60.0  # seconds in which a client that is answered takes no byte, after which it counts as gone
LONGEST_HEAD = 64 * 1024  # bytes of a target, of all headers, and of the trailers behind a body in chunks
_JOINED = 16 * 1024  # bytes of a body that are copied behind its head, for one write; of more, no answer waits
_NEVER = float("inf")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Application(Protocol):
    """Who answers. Both are called on the event loop and raise nothing."""

    def take(self, request: Request, exchange: Connection) -> None:
        """Answer: now by ``exchange.reply``, at the end of the loop's turn in ``exchange.later``, or some time in
        ``exchange.run``."""

    def refuse(self, request: Request, error: HttpError | Refused) -> Reply:
        """The answer to what did not come whole."""


class Shared(Struct):
    """What all connections of a server have in common. ``most``: bytes of a body; ``room``: connections at a time."""

    app: Application
    most: int
    room: int
    living: set[Connection]
    turn: Turn
    heads: Heads
    date: bytes = b""
    usual: bytes = b""  # head of most answers, as of that date
    leaving: bool = False  # no further requests: every answer is its connection's last

    def tell_time(self, date: bytes) -> None:
        """What every answer says until the next second."""
        self.date, self.usual = date, head(200, JSON, date)


class Connection:
    """An ``asyncio.Protocol`` by its methods. To the application it is the exchange of the request under way."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()  # came before the one before them was answered
        self._answering: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Event | None = None  # to send in; None while nobody had to wait for it
        self._begun = False  # an answer in pieces
        self._broken = False  # what comes now is not read any more
        self._unread = 0  # bytes of the answer that waited when it was last looked
        self._stalls = _NEVER  # when they have waited for too long
        self._in_head = False
        self._between = True  # requests: nothing of the next one has come
        self._partial: Request | None = None  # whose head came
        self._whole: Request | None = None  # the parser's last
        self._declined: Request | None = None  # that asks for another protocol
        self._untold = 0  # bytes since the parser told anything: it collects a line that has no end
        self._clear()
        self.until = monotonic() + HEAD_TAKES

    # What the event loop calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        living = self._shared.living
        living.add(self)
        if len(living) > self._shared.room:
            self._refuse(HttpError(503, f"this server has {self._shared.room} connections already"))

    def connection_lost(self, error: Exception | None) -> None:
        self._shared.living.discard(self)
        self._broken = True
        if self._partial is not None and self._answering is None:
            self._shared.app.refuse(self._partial, gone())
        self._answering = None
        self._waiting.clear()
        if self._room is not None:
            self._room.set()
        if self._task is not None:
            # Soon, and not now: a task that has not begun would end without a line of it having run, and without
            # giving back what it was handed.
            asyncio.get_running_loop().call_soon(self._task.cancel)

    def eof_received(self) -> None:
        """Nobody waits for answers: a client that only says no more looks like one that is gone, and is one mostly."""

    def pause_writing(self) -> None:
        self._room = asyncio.Event()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
        if not self._waiting:
            self._transport.resume_reading()
        else:
            self._next()

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        if self._between:
            request = self._shared.heads.find(data, monotonic())
            if request is not None:
                self._take(request)
                return
        self._parse(data)

    # What the parser calls, and what calls it

    def _parse(self, data: bytes) -> None:
        begins = self._between
        self._untold += len(data)
        rest = self._feed(data)
        whole, self._whole = self._whole, None
        if rest is None and begins and whole is not None:
            self._shared.heads.learn(data, whole)
        while rest is not None and not self._broken:
            rest = self._feed(rest)
        if self._untold > LONGEST_HEAD:
            self._refuse(_long_head())

    def _feed(self, data: bytes | memoryview) -> memoryview | None:
        """What is behind the head of a request that asks for another protocol: the parser reads nothing there.

        Such a request is answered as if it did not ask (RFC 9110 section 7.8): curl and Java's client ask for HTTP/2
        with their first one, and send its body all the same. Another parser reads it, once it is told how it comes.
        """
        try:
            if self._declined is not None:
                self._parser = httptools.HttpRequestParser(self)
                self._parser.feed_data(_head_of_body(self._declined.headers))
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return memoryview(data)[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self._refuse(_ours(error.__context__))
        except httptools.HttpParserError as error:
            self._refuse(_unreadable(error))
        return None

    def on_message_begin(self) -> None:
        self._clear()
        self._between = False
        self._in_head = True
        if self._answering is None and self._declined is None:
            self.until = monotonic() + HEAD_TAKES

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        if not self._in_head:
            return  # a trailer: it must not pass for a header (RFC 9110 section 6.5.1)
        key = name.decode("latin-1").lower()
        if key not in self._headers:
            self._headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        now = monotonic()
        self._in_head = False
        if self._broken:
            return  # the request before it was the last
        if self._declined is not None:
            self._partial, self._declined = self._declined, None
            return
        self._partial = request = Request(
            self._parser.get_method().decode("latin-1"),
            _path(self._target),
            self._headers,
            now,
            keep_alive=self._parser.should_keep_alive(),
            chunked=self._parser.get_http_version() != "1.0",
        )
        length = self._headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > self._shared.most:
            raise too_large(self._shared.most)
        if self._parser.should_upgrade():
            self._declined = request
        if self._answering is None and not self._waiting:
            self.until = now + BODY_TAKES
            if self._headers.get("expect", "").lower() == "100-continue" and request.chunked:
                self._now(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._untold = 0
        self._length += len(body)
        if self._length > self._shared.most:
            raise too_large(self._shared.most)
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._untold = 0
        if self._broken or self._declined is not None:
            return
        request, self._partial = self._partial, None
        assert request is not None
        parts = self._body
        if parts:
            request.body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._between = request.keep_alive
        self._whole = request
        self._take(request)

    # What the application calls

    def reply(self, reply: Reply) -> None:
        """The whole answer."""
        request = self._answering
        if request is None:
            return  # nobody is there
        if self._begun:
            self._transport.abort()  # the client must not take what it has for all of it
            return
        last = self._last(request)
        headers = (*reply.headers, ("connection", "close")) if last else reply.headers
        self._write(reply, headers, without_body=request.method == "HEAD")
        self._end(last)

    def later(self, job: Callable[[], None]) -> None:
        """Call it when everything that has come to the server by now was read. It raises nothing."""
        self._shared.turn.later(job)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it as a task that is cancelled when the client goes away. It ends with an answer, or is cancelled."""
        self._task = asyncio.get_running_loop().create_task(work)

    def begin(self, status: int, headers: Headers) -> None:
        """The head of an answer whose length nobody knows yet: :meth:`send` its pieces, then :meth:`finish`."""
        request = self._answering
        if request is None:
            raise gone()
        self._begun = True
        how = ("transfer-encoding", "chunked") if request.chunked else ("connection", "close")
        self._now(head(status, (*headers, how), self._shared.date) + b"\r\n")

    async def send(self, data: bytes) -> None:
        """A piece; returns when there is room for more. Raises Refused CANCELLED when the client went away."""
        request = self._answering
        if request is None or self._transport.is_closing():
            raise gone()
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if request.chunked else data)
        if self._room is not None:
            await self._room.wait()

    def finish(self) -> None:
        """The last piece was sent."""
        request = self._answering
        if request is None:
            return
        if request.chunked:
            self._transport.write(b"0\r\n\r\n")
        self._end(last=self._last(request) or not request.chunked)

    # What the server calls

    def look(self, now: float) -> None:
        """End it when what it waits for has not come in time."""
        unread = self._transport.get_write_buffer_size()
        if unread != self._unread:
            self._unread, self._stalls = unread, now + STALLED
        if unread and now > self._stalls:
            self._transport.abort()
        elif self._answering is None and not unread and now > self.until:
            if self._partial is not None and not self._broken:
                self._refuse(HttpError(408, f"the body did not come within {BODY_TAKES:g} s"))
            else:
                self._close()

    def leave(self) -> None:
        """The server ends: close when the request under way is answered; a body may come for a moment more."""
        if self._partial is not None:
            self.until = min(self.until, monotonic() + LAST_BYTES)
        elif self._answering is None and not self._waiting:
            self._broken = True
            self._close()

    def abort(self) -> None:
        """Now, whatever is under way."""
        self._transport.abort()

    @property
    def answering(self) -> bool:
        """Whether a request is under way."""
        return self._answering is not None

    # Its own

    def _clear(self) -> None:
        self._target = b""
        self._headers: Incoming = {}
        self._body: list[bytes] = []
        self._length = 0  # of the body
        self._size = 0  # of head and trailers
        self._partial = None

    def _count(self, size: int) -> None:
        self._untold = 0
        self._size += size
        if self._size > LONGEST_HEAD:
            raise _long_head()

    def _take(self, request: Request) -> None:
        """It is whole."""
        if self._answering is None and not self._waiting and self._room is None:
            self._begin(request)
        else:
            self._waiting.append(request)
            self._transport.pause_reading()

    def _begin(self, request: Request) -> None:
        if len(request.body) > _JOINED:
            self._shared.turn.end()  # nobody waits until this is read
        self._answering = request
        self.until = _NEVER
        self._shared.app.take(request, self)

    def _last(self, request: Request) -> bool:
        return not request.keep_alive or self._shared.leaving or self._broken

    def _end(self, last: bool) -> None:
        """The answer is on its way."""
        self._answering = self._task = None
        self._begun = False
        if last:
            self._broken = True
            self._waiting.clear()
            self._close()
            return
        self.until = monotonic() + HEAD_TAKES
        if self._waiting:
            # Not here: a client that sends a thousand requests at once would nest a thousand calls.
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        # Room: the answer before it may have been put off, and found none.
        if self._waiting and self._answering is None and self._room is None:
            request = self._waiting.popleft()
            if not self._waiting:
                self._transport.resume_reading()
            self._begin(request)

    def _refuse(self, error: HttpError) -> None:
        """Say what is wrong with what came, and understand no more of it."""
        if self._broken:
            return
        self._broken = True
        request, self._partial = self._partial, None
        if self._answering is not None or self._waiting:
            return  # the next answer is the last
        reply = error.reply() if request is None else self._shared.app.refuse(request, error)
        self._write(reply, (*reply.headers, ("connection", "close")))
        # Read on and forget it: to close now would reset the connection of a client that still sends, and take the
        # answer out of its hands.
        self._shared.turn.flush()
        self._transport.write_eof()
        self.until = monotonic() + LAST_BYTES

    def _write(self, reply: Reply, headers: Headers, *, without_body: bool = False) -> None:
        body = reply.body
        usual = headers is JSON and reply.status == 200
        start = self._shared.usual if usual else head(reply.status, headers, self._shared.date)
        start = b"%bcontent-length: %d\r\n\r\n" % (start, len(body))
        if without_body:
            self._shared.turn.send(self._transport, start)
        elif len(body) < _JOINED:
            self._shared.turn.send(self._transport, start + body)
        else:
            self._shared.turn.flush()
            self._transport.writelines((start, body))

    def _now(self, data: bytes) -> None:
        """Send it behind what waits to be sent."""
        self._shared.turn.flush()
        self._transport.write(data)

    def _close(self) -> None:
        """When all was sent."""
        self._shared.turn.flush()
        self._transport.close()


def _path(target: bytes) -> str:
    """The path that is asked for, without query, percent-decoded; bytes that are no UTF-8 become U+FFFD."""
    if not target.startswith(b"/") and target != b"*":
        try:
            target = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError:
            raise HttpError(400, f"{target[:200]!r} is not what HTTP can ask for") from None
    path = target.partition(b"?")[0]
    return (unquote_to_bytes(path) if b"%" in path else path).decode(errors="replace")


def _head_of_body(headers: Incoming) -> bytes:
    """A head that says how the body comes in the words of another one, which a parser has read up to there."""
    name = "transfer-encoding" if "transfer-encoding" in headers else "content-length"
    return f"POST / HTTP/1.1\r\n{name}: {headers.get(name, '0')}\r\n\r\n".encode("latin-1")


def _ours(error: BaseException | None) -> HttpError:
    """What a callback of the parser raised: a refusal, or a bug of ours, whose request still gets an answer."""
    if isinstance(error, HttpError):
        return error
    traceback.print_exception(error, file=sys.stderr)
    return HttpError(500, f"the server failed: {type(error).__name__}")


def _long_head() -> HttpError:
    return HttpError(431, f"the head of a request may have {LONGEST_HEAD} bytes")


def _unreadable(error: Exception) -> HttpError:
    return HttpError(400, f"this is not HTTP/1.1: {error}")
