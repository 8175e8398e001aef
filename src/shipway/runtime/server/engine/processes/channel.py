"""One end of the way between the server and a worker: messages and the arrays that they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shipway.runtime.server.engine.processes.arena import Reader, Writer
from shipway.runtime.server.engine.processes.wire import FromWorker, Inbox, ToWorker, decoder, encode


class Channel:
    """Does no I/O on the socket: whoever has it reads into :meth:`room` and sends what :meth:`message` gives.

    Every message carries home the blocks that its sender has released, so that this costs no message of its own.
    """

    def __init__(self, frames: Any, *, read_from: int, write_to: int) -> None:
        self._decode = decoder(frames)
        self._inbox = Inbox()
        self._reader = Reader(read_from)
        self._writer = Writer(write_to)
        self.room = self._inbox.room
        self.read = self._reader.read
        self.place = self._writer.place
        self.write = self._writer.write
        self.trim = self._writer.trim

    def message(self, frame: ToWorker | FromWorker) -> bytearray:
        """The bytes to send."""
        return encode(self._reader.released(), frame)

    def received(self, count: int) -> Iterator[Any]:
        """The frames that ``count`` more bytes in :meth:`room` complete."""
        for message in self._inbox.received(count):
            released, frame = self._decode(message)
            if released:
                self._writer.released(released)
            yield frame
