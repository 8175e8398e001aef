"""One line of JSON for each inference request on stdout. Neither headers' values nor bodies get into it.

The event loop makes the line and keeps it; a thread writes, a few times a second. A reader that does not read stops
only that thread: what then is more than the buffer takes is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Thread

import msgspec
from msgspec import Struct

from shipway.runtime.server.observe import traceparent
from shipway.runtime.server.observe.exposition import Family, Page
from shipway.runtime.server.observe.request import Observed

DROPPED = Family("shipway_access_log_dropped_total", "counter", "Lines that nobody read in time.")

_BUFFER = 4 * 2**20  # bytes of lines that wait for the reader of stdout
_DELAY = 0.1  # seconds that lines are collected before the thread is woken
_ATOMIC = 4096  # PIPE_BUF: what a pipe takes in one piece, so that what the model prints stands between lines
_LONGEST_PATH = 1024
_LONGEST_ID = 256
_PATIENCE = 2.0  # seconds that the end waits for the reader


class Line(Struct):
    """What a request leaves. ``ms`` from its head to its answer; ``model`` is null when this server has no such one."""

    time: datetime
    protocol: str
    method: str
    path: str
    model: str | None
    version: str | None
    status: int | str
    ms: float
    rows: int | None
    bytes_in: int
    bytes_out: int
    id: str | None
    queue_ms: float | None
    compute_ms: float | None
    trace_id: str | None


class AccessLog:
    """A sink of the observer. ``write`` gets whole lines, at most 4,096 bytes at a time where they are that short; it
    may block."""

    def __init__(
        self, write: Callable[[bytes], None], wall: Callable[[], float] = time.time, buffer: int = _BUFFER
    ) -> None:
        self._write = write
        self._buffer = buffer
        self._wall = wall
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []
        self._collected = 0  # bytes in _lines
        self._given = 0  # bytes that the thread was given, ever
        self._written = 0  # bytes that it has written, ever; only the thread writes this
        self._dropped = 0
        self._lost = 0  # lines; only the thread writes this
        self._chunks: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def take(self, seen: Observed) -> None:
        line = self._encode(_line(seen, self._wall())) + b"\n"
        if self._given - self._written + self._collected + len(line) > self._buffer:
            self._dropped += 1
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_DELAY, self._hand_over)
        self._lines.append(line)
        self._collected += len(line)

    def close(self) -> None:
        self._hand_over()
        self._chunks.put(None)
        self._thread.join(_PATIENCE)

    def render(self, page: Page) -> None:
        """Its line of the metrics."""
        page.add(DROPPED, self._dropped + self._lost)

    def _hand_over(self) -> None:
        self._given += self._collected
        self._chunks.put(self._lines)
        self._lines, self._collected = [], 0

    def _run(self) -> None:
        while (lines := self._chunks.get()) is not None:
            for chunk in _chunks(lines):
                try:
                    self._write(chunk)
                except OSError:  # nobody reads any more, or the disk behind stdout is full
                    self._lost += chunk.count(b"\n")
                self._written += len(chunk)


def write_stdout(data: bytes) -> None:
    """All of it, to file descriptor 1."""
    while data:
        data = data[os.write(1, data) :]


def _line(seen: Observed, now: float) -> Line:
    metrics, call, answer = seen.metrics, seen.call, seen.answer
    own_id = seen.id
    trace = seen.trace or traceparent.parse(seen.headers.get("traceparent"))
    return Line(
        time=datetime.fromtimestamp(now - (seen.ended - seen.came), UTC),
        protocol=seen.protocol,
        method=seen.method,
        path=seen.path[:_LONGEST_PATH],
        model=metrics.model if metrics else None,
        version=metrics.version if metrics else None,
        status=seen.code,
        ms=_ms(seen.ended - seen.came),
        rows=call.rows if call else None,
        bytes_in=seen.received,
        bytes_out=seen.sent,
        id=own_id and own_id[:_LONGEST_ID],
        queue_ms=_ms(seen.queued) if answer else None,
        compute_ms=_ms(answer.seconds) if answer else None,
        trace_id=trace.trace_id if trace else None,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _chunks(lines: list[bytes]) -> list[bytes]:
    """The lines, joined to pieces that a pipe takes whole."""
    chunks: list[bytes] = []
    piece: list[bytes] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > _ATOMIC:
            chunks.append(b"".join(piece))
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    return [*chunks, b"".join(piece)] if piece else chunks
