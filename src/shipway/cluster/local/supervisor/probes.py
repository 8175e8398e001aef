"""One attempt of a probe: TCP connect or HTTP GET on a non-blocking socket in the supervisor's own loop."""

from __future__ import annotations

import errno
import os
import selectors
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ENOUGH = 64 * 1024


class Attempt:
    """Ask once; ``done(passed, message)`` is called exactly once unless :meth:`close` comes first.

    An HTTP answer counts as soon as its status line is there; the rest is read to its end (or to the
    timeout), because a server that is hung up on in mid-answer writes a traceback into its log.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        port: int,
        path: str | None,
        deadline: float,
        done: Callable[[bool, str], None],
    ) -> None:
        self.deadline = deadline
        self.closed = False
        self._selector = selector
        self._what = f"connect to 127.0.0.1:{port}" if path is None else f"GET {path}"
        self._request = b""
        if path is not None:
            self._request = (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: shipway-probe\r\n"
                "Accept: */*\r\nConnection: close\r\n\r\n"
            ).encode()
        self._done: Callable[[bool, str], None] | None = done
        self._answer = b""
        self._read = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        code = self._socket.connect_ex(("127.0.0.1", port))
        if code not in (0, errno.EINPROGRESS):
            self._finish(False, f"{self._what}: {os.strerror(code)}")
            return
        selector.register(self._socket, selectors.EVENT_WRITE, self._on_writable)

    def expire(self) -> None:
        """The deadline has come."""
        self._finish(False, f"{self._what}: no answer in time")

    def close(self) -> None:
        """Forget it without an answer."""
        self._done = None
        self._finish(False, "")

    def _on_writable(self, _events: int) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._finish(False, f"{self._what}: {os.strerror(code)}")
        elif not self._request:
            self._finish(True, "")
        else:
            try:
                self._socket.send(self._request)  # some 100 bytes always fit into a fresh socket's buffer
            except OSError as error:
                self._finish(False, f"{self._what}: {error.strerror}")
            else:
                self._selector.modify(self._socket, selectors.EVENT_READ, self._on_readable)

    def _on_readable(self, _events: int) -> None:
        try:
            data = self._socket.recv(8192)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(False, f"{self._what}: {error.strerror}")
            return
        self._read += len(data)
        if self._done is not None:
            self._answer += data
            if b"\n" in self._answer or not data or self._read > _ENOUGH:
                self._judge()
        if not data or self._read > _ENOUGH:
            self._finish(False, "")

    def _judge(self) -> None:
        words = self._answer.split(b"\n", 1)[0].split()
        if len(words) >= 2 and words[0].startswith(b"HTTP/") and words[1].isdigit():
            self._tell(200 <= int(words[1]) < 400, f"{self._what}: {int(words[1])}")
        else:
            self._tell(False, f"{self._what}: not an HTTP answer")

    def _tell(self, passed: bool, message: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(passed, message)

    def _finish(self, passed: bool, message: str) -> None:
        if not self.closed:
            self.closed = True
            if self._socket in self._selector.get_map():
                self._selector.unregister(self._socket)
            self._socket.close()
        self._tell(passed, message)
