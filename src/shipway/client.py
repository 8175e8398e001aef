"""How other processes talk to the hub: JSON over HTTP on its Unix socket, or on loopback TCP.

Standard library only and quick to import, because every ``shipway`` command begins here: no httpx,
no asyncio, no pydantic. Each call has its own connection, so that threads may share a client.
"""

from __future__ import annotations

import http.client
import json
import os
import socket as sockets
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from shipway.errors import HubUnreachable, PlatformError, Refused, ShipwayError, UserError, from_json

Event = tuple[str, dict[str, Any]]

_LARGEST_ERROR = 64 * 1024  # bytes of an error's body that are read: whoever answers may not be a hub
_BLOCK = 1024 * 1024  # bytes sent at a time


class HubClient:
    """A hub at ``socket`` (a path) or at ``url`` (``http://127.0.0.1:PORT``, with ``token``).

    ``timeout``: seconds without a byte from the hub before it counts as gone; streams carry a
    comment every 15 s. Calls raise HubUnreachable, Refused when another user's program listens on the
    socket, and what the hub raised.
    """

    def __init__(
        self, socket: Path | None = None, url: str | None = None, token: str | None = None, *, timeout: float = 120.0
    ) -> None:
        if (socket is None) == (url is None):
            raise PlatformError("HubClient takes either a socket or a url")
        self._socket = socket
        self._url = url
        self._token = token
        self._timeout = timeout

    def get(self, path: str) -> Any:
        """GET; the answer's JSON."""
        return self._json("GET", path)

    def put(self, path: str, document: Any) -> Any:
        """PUT a JSON document; the answer's JSON."""
        return self._json("PUT", path, document)

    def post(self, path: str, document: Any = None) -> Any:
        """POST a JSON document (or nothing); the answer's JSON."""
        return self._json("POST", path, document)

    def delete(self, path: str) -> Any:
        """DELETE; the answer's JSON."""
        return self._json("DELETE", path)

    def upload(
        self, path: str, body: BinaryIO | bytes, length: int, *, content_type: str = "application/octet-stream"
    ) -> Any:
        """PUT ``length`` bytes as they are, a block at a time; the answer's JSON."""
        headers = {"Content-Type": content_type, "Content-Length": str(length)}
        with self._answer("PUT", path, body, headers) as response:
            return self._decoded(response)

    def stream(self, path: str) -> Iterator[Event]:
        """Server-sent events as ``(event, data)``, until the hub ends the stream.

        An event named ``error`` is raised as the error that it carries.
        """
        with self._answer("GET", path, None, {"Accept": "text/event-stream"}) as response:
            for event, data in parse_events(_lines(response)):
                if event == "error":
                    raise from_json(data.get("error", {}))
                yield event, data

    def _json(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._answer(method, path, body, headers) as response:
            return self._decoded(response)

    def _decoded(self, response: http.client.HTTPResponse) -> Any:
        text = response.read()
        try:
            return json.loads(text)
        except ValueError as error:
            raise self._no_hub(f"{self._place} answered with something that is not JSON") from error

    @contextmanager
    def _answer(
        self, method: str, path: str, body: BinaryIO | bytes | None, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        if self._token is not None:
            headers = {**headers, "Authorization": f"Bearer {self._token}"}
        try:
            with closing(self._connection()) as connection:
                try:
                    connection.request(method, path, body, headers)
                except (BrokenPipeError, ConnectionResetError):
                    # The hub may refuse an upload before it has read all of it: its answer says why.
                    if connection.sock is None:
                        raise
                with connection.getresponse() as response:
                    if response.status >= 400:
                        raise self._refusal(response)
                    yield response
        except ShipwayError:
            raise
        except http.client.InvalidURL as error:
            raise UserError(f"{path!r} cannot be part of a URL: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._no_hub(f"no hub answers on {self._place}: {_words(error)}") from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._socket is not None:
            return _UnixConnection(self._socket, timeout=self._timeout)
        parts = urlsplit(self._url or "")
        return http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=self._timeout, blocksize=_BLOCK
        )

    def _refusal(self, response: http.client.HTTPResponse) -> ShipwayError:
        text = response.read(_LARGEST_ERROR)
        try:
            return from_json(json.loads(text)["error"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return self._no_hub(f"{self._place} answered {response.status} {response.reason}, and not as a hub does")

    @property
    def _place(self) -> str:
        return str(self._socket or self._url)

    def _no_hub(self, message: str) -> HubUnreachable:
        return HubUnreachable(message, next_step="Start it with 'shipway hub start'; its log is hub.log in the home.")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, blocksize=_BLOCK)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        # The socket may lie in /tmp, where another user can be first (unix(7), SO_PEERCRED: pid, uid, gid).
        credentials = self.sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, struct.calcsize("3i"))
        _, owner, _ = struct.unpack("3i", credentials)
        if owner != os.getuid():
            self.close()
            raise Refused(
                f"{self._path} is answered by a program of another user (uid {owner}, ours is {os.getuid()})",
                next_step="Choose a SHIPWAY_HOME of your own, or run the command as the user that the hub belongs to.",
            )


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Events with JSON objects as data, from the lines of an event stream; an unfinished last one is dropped.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """
    event, data = "message", ""
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        if not line:
            if data:
                yield event, json.loads(data)
            event, data = "message", ""
        elif name == "event":
            event = value.removeprefix(" ")
        elif name == "data":
            data += value.removeprefix(" ")


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    # Not the response's own lines: those take a connection that broke for the end of the stream,
    # and a hub that was killed would look like one that is done.
    rest = b""
    while block := response.read1(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
