"""An answer that is written piece by piece, no faster than its client reads.

granian's own stream of an answer takes whatever it is given into memory (2.8.7; 200 MB for a client that does not
read). A file it reads only as fast as the client does, so an answer is the reading end of a pipe, by its path.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
import time

_STALLED = 60.0  # seconds without a byte taken, after which a client counts as gone
_OPENED = 5.0  # seconds until granian has opened its end, at most


class Pipe:
    """Use it as an asynchronous context manager. BrokenPipeError means that nobody reads any more."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self.sent = 0

    @property
    def path(self) -> str:
        """What is to be read, until the first :meth:`write` has returned."""
        return f"/dev/fd/{self._reader}"

    async def write(self, data: bytes) -> None:
        """Return when there is room for more. Raises BrokenPipeError."""
        rest = memoryview(data)
        while rest:
            try:
                written = os.write(self._writer, rest)
            except BlockingIOError:
                await self._room()
                continue
            self.sent += written
            rest = rest[written:]
            if self._reader >= 0:
                await self._taken()

    def close(self) -> None:
        """What was written can still be read."""
        for end in (self._writer, self._reader):
            if end >= 0:
                os.close(end)
        self._reader = self._writer = -1

    async def _taken(self) -> None:
        """Until somebody else has opened the path: only then our end may go, and only then a client's going shows."""
        until = time.monotonic() + _OPENED
        pause = 0.0005
        while self._unread() == self.sent:
            if time.monotonic() > until:
                raise BrokenPipeError("nobody opened the stream")
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)
        os.close(self._reader)
        self._reader = -1

    def _unread(self) -> int:
        found: int = struct.unpack("i", fcntl.ioctl(self._reader, termios.FIONREAD, b"\0" * 4))[0]
        return found

    async def _room(self) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._writer, writable.set)
        try:
            await asyncio.wait_for(writable.wait(), _STALLED)
        except TimeoutError as error:
            raise BrokenPipeError(f"nothing was read for {_STALLED:g} s") from error
        finally:
            loop.remove_writer(self._writer)
