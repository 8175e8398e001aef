"""The sending side of one connection of HTTP/2, and how much its peer takes.

Source: RFC 9113 sections 5.2 (flow control), 6.5 (SETTINGS) and 6.9 (WINDOW_UPDATE).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from shipway.runtime.server.rpc import frames
from shipway.runtime.server.rpc.frames import Broken, Fault, Setting

STALLED = 60.0  # seconds without a byte taken, after which a peer counts as gone
_GOODBYE = 5.0  # seconds for the last bytes to be taken
_LONGEST_FRAME = 2**20


class Sender:
    """What is sent is collected, and goes out once in a pass of the event loop."""

    def __init__(self, transport: Any) -> None:
        self.window = frames.WINDOW  # bytes of all streams that may be sent now
        self.initial = frames.WINDOW  # bytes that each stream may send before any update
        self.largest = frames.LARGEST  # bytes of a frame
        self.held = 0  # bytes that have come and were not taken by any call yet, or wait for their reader
        self.blocked: set[asyncio.Event] = set()  # of those who wait for a window
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._end: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        """Soon, together with what else is to go out."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def drained(self) -> None:
        """Return when the peer has taken most of what was sent."""
        if not self._writable.is_set():
            await self._writable.wait()

    def settle(self, values: Mapping[int, int]) -> None:
        """The peer's settings. Raises Broken."""
        if values.get(Setting.ENABLE_PUSH, 0) not in (0, 1):
            raise Broken(Fault.PROTOCOL, "whether we may push is neither 0 nor 1")
        initial = values.get(Setting.INITIAL_WINDOW_SIZE, self.initial)
        if initial >= 2**31:
            raise Broken(Fault.FLOW_CONTROL, "the initial window is too large")
        largest = values.get(Setting.MAX_FRAME_SIZE, self.largest)
        if not frames.LARGEST <= largest < 2**24:
            raise Broken(Fault.PROTOCOL, f"frames of {largest} bytes")
        self.largest = min(largest, _LONGEST_FRAME)
        if initial > self.initial:
            self._wake()
        self.initial = initial

    def grow(self, size: int) -> None:
        """The window of all streams. Raises Broken."""
        self.window += size
        if self.window >= 2**31:
            raise Broken(Fault.FLOW_CONTROL, "the window is too large")
        self._wake()

    def pause(self) -> None:
        """The peer takes nothing now. Who does not read is not read from: nothing piles up."""
        self._writable.clear()
        if not self._transport.is_closing():
            self._transport.pause_reading()
            self._end_in(STALLED)

    def resume(self) -> None:
        """It does again."""
        self._writable.set()
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._keep()

    def close(self) -> None:
        """Send what is to be sent, and close, whether it is taken or not."""
        if not self._transport.is_closing():
            self._flush()
            self._transport.close()
            self._end_in(_GOODBYE)

    def lost(self) -> None:
        """There is no peer any more."""
        self._writable.set()
        self._keep()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.write(b"".join(out))

    def _wake(self) -> None:
        for news in self.blocked:
            news.set()
        self.blocked.clear()

    def _end_in(self, seconds: float) -> None:
        self._keep()
        self._end = self._loop.call_later(seconds, self._transport.abort)

    def _keep(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
