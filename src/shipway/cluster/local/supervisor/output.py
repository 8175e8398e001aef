"""The pipes of one run of a replica, read into its log."""

from __future__ import annotations

import os
import selectors
import time

from .logs import LineSplitter, LogFile

_CHUNK = 64 * 1024
_MOST_AT_THE_END = 1024 * 1024


class Output:
    """Both pipes of a process. ``last_error`` is the last line on stderr, for messages."""

    def __init__(self, selector: selectors.BaseSelector, log: LogFile, stdout: int, stderr: int) -> None:
        self.last_error = ""
        self._selector = selector
        self._log = log
        self._splitters = {stdout: ("stdout", LineSplitter()), stderr: ("stderr", LineSplitter())}
        self._open = {stdout, stderr}
        for pipe in (stdout, stderr):
            selector.register(pipe, selectors.EVENT_READ, lambda _events, pipe=pipe: self._read(pipe))

    def finish(self) -> None:
        """Read what the pipes still hold, no more: a process that escaped may hold them open for ever."""
        for pipe in sorted(self._open):
            for _ in range(_MOST_AT_THE_END // _CHUNK):
                if not self._read(pipe):
                    break
        for pipe in sorted(self._open):
            self._close(pipe)

    def _read(self, pipe: int) -> bool:
        """Read once; True when there may be more."""
        try:
            data = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close(pipe)
            return False
        stream, splitter = self._splitters[pipe]
        self._write(stream, splitter.feed(data))
        return True

    def _close(self, pipe: int) -> None:
        stream, splitter = self._splitters[pipe]
        self._write(stream, splitter.flush())
        self._selector.unregister(pipe)
        self._open.discard(pipe)
        os.close(pipe)

    def _write(self, stream: str, lines: list[bytes]) -> None:
        self._log.write(stream, lines, time.time())
        if lines and stream == "stderr":
            self.last_error = lines[-1][:1024].decode(errors="replace")
