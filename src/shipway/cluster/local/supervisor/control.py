"""The supervisor's Unix socket: a JSON object a line, request and answer; after ``watch`` a status at each change.

Requests: ``{"op": "status"}``, ``{"op": "watch"}``, ``{"op": "scale", "replicas": 2, "ports": [20001, 20002]}``,
``{"op": "stop"}``. Answers: ``{"status": {...}}`` or ``{"error": {"message": "..."}}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LONGEST_REQUEST = 64 * 1024
_LONGEST_BACKLOG = 1024 * 1024


class Control:
    """Listens at ``path`` (0600) and answers with ``handle(request)``, which may raise ValueError."""

    def __init__(
        self, selector: selectors.BaseSelector, path: str, handle: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        self._selector = selector
        self._path = path
        self._handle = handle
        self._clients: list[Client] = []
        # Whoever binds holds the workload's lock: a socket that lies here is of a supervisor that is gone.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        self._socket.bind(path)
        os.umask(before)
        self._socket.listen(16)
        self._socket.setblocking(False)
        selector.register(self._socket, selectors.EVENT_READ, self._on_client)

    def push(self, status: dict[str, Any]) -> None:
        """Tell all who watch."""
        for client in [one for one in self._clients if one.watches]:
            client.send({"status": status})

    def close(self) -> None:
        """Send what is left to be read, and remove the socket."""
        for client in list(self._clients):
            client.close()
        self._selector.unregister(self._socket)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _on_client(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = self._socket.accept()
            self._clients.append(Client(self._selector, connection, self._handle, self._clients.remove))


class Client:
    """One connection; a client that does not read is hung up on, never waited for."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        connection: socket.socket,
        handle: Callable[[dict[str, Any]], dict[str, Any]],
        gone: Callable[[Client], None],
    ) -> None:
        self.watches = False
        self._selector = selector
        self._socket = connection
        self._handle = handle
        self._gone = gone
        self._inbox = b""
        self._outbox = b""
        self._open = True
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, self._on_event)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a line and send what the socket takes."""
        self._outbox += json.dumps(message).encode() + b"\n"
        self._flush()

    def close(self) -> None:
        """Hang up."""
        if self._open:
            self._open = False
            self._selector.unregister(self._socket)
            self._socket.close()
            self._gone(self)

    def _on_event(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush()
        if self._open and events & selectors.EVENT_READ:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(8192)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._inbox = (self._inbox + data).split(b"\n")
        for line in lines:
            self._answer(line)
        if not data or len(self._inbox) > _LONGEST_REQUEST:
            self.close()

    def _answer(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is a JSON object")
            answer = {"status": self._handle(request)}
            self.watches = self.watches or request.get("op") == "watch"
        except ValueError as error:
            answer = {"error": {"message": str(error)}}
        self.send(answer)

    def _flush(self) -> None:
        if not self._open:
            return
        try:
            sent = self._socket.send(self._outbox) if self._outbox else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._outbox = self._outbox[sent:]
        if len(self._outbox) > _LONGEST_BACKLOG:
            self.close()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        self._selector.modify(self._socket, wanted, self._on_event)
