"""A load of our own: a closed loop and an open one, every answer checked against the row that it belongs to.

In the open loop a request is due at a fixed time, whether or not the last one was answered, and its latency counts
from that time: a server that stalls is charged for all that had to wait ("coordinated omission" is what others call
leaving that out). Plain sockets and ``select``: its timeout is fine to the microsecond, those of ``epoll`` and of
asyncio round up to a millisecond.
"""

from __future__ import annotations

import gc
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from time import perf_counter
from typing import Protocol

from bench.serving.samples import Sample, percentile

_PATIENCE = 20.0  # seconds that the last answers may take


class Check(Protocol):
    """Says whether a body is the answer to that row."""

    def right(self, number: int, body: bytes) -> bool: ...


class Torn(Exception):
    """The server closed the connection in the middle, or said something that is not HTTP/1.1 with a length."""


class Connection(Protocol):
    """One connection that is kept alive, one request at a time. ``number`` and ``due`` are of the request under way."""

    number: int
    due: float

    def fileno(self) -> int: ...

    def ask(self, request: bytes, number: int, due: float) -> None: ...

    def receive(self) -> tuple[int, bytes] | None: ...

    def close(self) -> None: ...


class HttpConnection:
    """HTTP/1.1."""

    def __init__(self, port: int) -> None:
        self.number = -1
        self.due = 0.0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, request: bytes, number: int, due: float) -> None:
        """Send it. The whole of it is written before the answer is read: no server answers half a request."""
        self.number, self.due, self._got = number, due, b""
        self._socket.sendall(request)

    def receive(self) -> tuple[int, bytes] | None:
        """Status and body once they are whole. Raises Torn."""
        chunk = self._socket.recv(262144)
        if not chunk:
            raise Torn("the connection was closed")
        self._got = self._got + chunk if self._got else chunk
        return parse(self._got)

    def close(self) -> None:
        self._socket.close()


Connect = Callable[[int], Connection]


def parse(message: bytes) -> tuple[int, bytes] | None:
    """Status and body of an answer, None if there is more to come. Raises Torn for one without a length (RFC 9112,
    section 6): it would end with the connection, and the next request with it."""
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = message[:end].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        body = _unchunked(message, end + 4)
        return None if body is None else (int(message[9:12]), body)
    place = head.find(b"\r\ncontent-length:")
    if place < 0:
        raise Torn(f"no length in {message[:200]!r}")
    length = int(head[place + 17 :].split(b"\r\n", 1)[0])
    body = message[end + 4 :]
    return None if len(body) < length else (int(message[9:12]), body[:length])


def _unchunked(message: bytes, place: int) -> bytes | None:
    """The chunks from that place on, None if the last one has not come. Nobody here sends trailers."""
    if not message.endswith(b"0\r\n\r\n"):
        return None
    parts: list[bytes] = []
    while (line := message.find(b"\r\n", place)) >= 0:
        size = int(message[place:line].split(b";", 1)[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(message[line + 2 : line + 2 + size])
        place = line + 4 + size
    return None


def ask_once(port: int, request: bytes, connect: Connect = HttpConnection) -> tuple[int, bytes]:
    """One request on a connection of its own: status and body. Raises Torn and OSError."""
    connection = connect(port)
    try:
        connection.ask(request, 0, 0.0)
        while (answer := connection.receive()) is None:
            pass
        return answer
    finally:
        connection.close()


def closed_loop(
    port: int,
    requests: Sequence[bytes],
    check: Check,
    connections: int,
    seconds: float,
    connect: Connect = HttpConnection,
) -> Sample:
    """Each connection asks again as soon as it has its answer."""
    with _opened(port, connections, connect) as made:
        return _Run(requests, check, made).go(seconds, None)


def open_loop(
    port: int, requests: Sequence[bytes], check: Check, connections: int, seconds: float, rate: float
) -> Sample:
    """``rate`` requests a second, evenly spaced. What waits for a free connection, waits on the clock."""
    with _opened(port, connections, HttpConnection) as made:
        return _Run(requests, check, made).go(seconds, rate)


class _Run:
    """One run of either load."""

    def __init__(self, requests: Sequence[bytes], check: Check, connections: list[Connection]) -> None:
        self._requests = requests
        self._check = check
        self._numbers = cycle(range(len(requests)))
        self._idle = connections
        self._busy: set[Connection] = set()
        self._latencies: list[float] = []
        self._wrong = self._failed = 0

    def go(self, seconds: float, rate: float | None) -> Sample:
        """Ask until the time is over, then wait for the last answers. What was due and could not be sent until the
        end counts with what it waited so far."""
        last = start = perf_counter()
        end, sent = start + seconds, 0
        while self._busy or last < end:
            now = perf_counter()
            due = now if rate is None else start + sent / rate
            while self._idle and due <= now < end:
                self._ask(due)
                sent += 1
                due = now if rate is None else start + sent / rate
            if now > end + _PATIENCE:
                break
            last = self._receive(max(0.0, min(due, end) - now) if self._idle and now < end else 0.1)
        answered = len(self._latencies)
        if rate is not None:
            late = range(sent, int(seconds * rate))
            self._latencies += [seconds - one / rate for one in late]
        p50, p99 = (percentile(self._latencies, share) * 1e3 for share in (0.5, 0.99))
        right = answered - self._wrong - self._failed
        return Sample(right, last - start, p50, p99, self._wrong, self._failed + len(self._busy))

    def _ask(self, due: float) -> None:
        connection, number = self._idle.pop(), next(self._numbers)
        connection.ask(self._requests[number], number, due)
        self._busy.add(connection)

    def _receive(self, timeout: float) -> float:
        """What has come; the time at which it had."""
        ready, _, _ = select.select(self._busy, (), (), timeout)
        for connection in ready:
            answer = connection.receive()
            if answer is None:
                continue
            self._latencies.append(perf_counter() - connection.due)
            self._failed += answer[0] != 200
            self._wrong += answer[0] == 200 and not self._check.right(connection.number, answer[1])
            self._busy.discard(connection)
            self._idle.append(connection)
        return perf_counter()


@contextmanager
def _opened(port: int, connections: int, connect: Connect) -> Iterator[list[Connection]]:
    with ExitStack() as stack, _no_collector():
        made = [connect(port) for _ in range(connections)]
        for one in made:
            stack.callback(one.close)
        yield made.copy()


@contextmanager
def _no_collector() -> Iterator[None]:
    """A pause of the generator's own would be blamed on the server."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
