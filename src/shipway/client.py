"""How other processes talk to the hub: JSON over HTTP on its Unix socket, or on loopback TCP.

Standard library only and quick to import, because every ``shipway`` command begins here: no httpx,
no asyncio, no pydantic. Each call has its own connection, so that threads may share a client.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket as sockets
import struct
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from shipway.errors import (
    EnvironmentFault,
    HubUnreachable,
    PlatformError,
    Refused,
    ShipwayError,
    UserError,
    from_json,
)

BY = "Shipway-By"  # header: who asks, in words, for the journal

Event = tuple[str, dict[str, Any]]

LARGEST_ERROR = 64 * 1024  # bytes of an error's body that are read: whoever answers may not be a hub
BLOCK = 1024 * 1024  # bytes sent at a time


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
            return decoded(self._place, response.read())

    def stream(self, path: str, document: Any = None) -> Generator[Event, None, None]:
        """Server-sent events as ``(event, data)``, until the hub ends the stream; a POST when a document is given.

        An event named ``error`` is raised as the error that it carries.
        """
        with self._answer(*streaming(path, document)) as response:
            for event in parse_events(_lines(response)):
                yield told(event)

    def _json(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._answer(method, path, body, headers) as response:
            return decoded(self._place, response.read())

    @contextmanager
    def _answer(
        self, method: str, path: str, body: BinaryIO | bytes | None, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {**headers, BY: who()}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
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
                        raise refusal(self._place, response.status, response.reason, response.read(LARGEST_ERROR))
                    yield response
        except ShipwayError:
            raise
        except (http.client.InvalidURL, UnicodeEncodeError) as error:  # a name of an argument, as it was typed
            raise not_a_path(path, error) from error
        except (OSError, http.client.HTTPException) as error:
            raise no_hub(self._place, error) from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._socket is not None:
            return _UnixConnection(self._socket, timeout=self._timeout)
        parts = urlsplit(self._url or "")
        return http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=self._timeout, blocksize=BLOCK
        )

    @property
    def _place(self) -> str:
        return str(self._socket or self._url)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, blocksize=BLOCK)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        try:
            check_owner(self.sock, self._path)
        except Refused:
            self.close()
            raise


@cache
def _account() -> str:
    # Once: it may ask a directory on the network, and the hub is asked many times a second while it starts.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def streaming(path: str, document: Any) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Method, path, body and headers of a request that is answered by a stream of events."""
    headers = {"Accept": "text/event-stream"}
    if document is None:
        return "GET", path, None, headers
    body = json.dumps(document).encode()
    return "POST", path, body, {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}


def who() -> str:
    """The account and the program that ask: ``ada (shipway up)``. ASCII, as a header must be."""
    program, *arguments = [Path(sys.argv[0]).name, *sys.argv[1:2]] if sys.argv else ["python"]
    # Of the arguments only a command's name: others may be values that nobody may keep.
    command = [one for one in arguments if program == "shipway" and one.isalpha()]
    return f"{_account()} ({' '.join([program or 'python', *command])})".encode("ascii", "replace").decode()


def check_owner(link: sockets.socket, path: Path) -> None:
    """Raises Refused when a program of another user listens on the socket at ``path``.

    The socket may lie in /tmp, where another user can be first. Source: unix(7), SO_PEERCRED: pid, uid, gid.
    """
    credentials = link.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, struct.calcsize("3i"))
    _, owner, _ = struct.unpack("3i", credentials)
    if owner != os.getuid():
        raise Refused(
            f"{path} is answered by a program of another user (uid {owner}, ours is {os.getuid()})",
            next_step="Choose a SHIPWAY_HOME of your own, or run the command as the user that the hub belongs to.",
        )


def decoded(place: str, text: bytes) -> Any:
    """The JSON of an answer. Raises HubUnreachable when it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise _no_hub(f"{place} answered with something that is not JSON") from error


def refusal(place: str, status: int, reason: str, text: bytes) -> ShipwayError:
    """The error that an answer of status 400 or more carries."""
    try:
        return from_json(json.loads(text)["error"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return _no_hub(f"{place} answered {status} {reason}, and not as a hub does")


def not_a_path(path: str, error: Exception) -> UserError:
    """What was to be asked for cannot stand in a request."""
    return UserError(f"{path!r} cannot be part of a URL: {error}")


def no_hub(place: str, error: Exception) -> HubUnreachable:
    """The connection failed, or broke."""
    return _no_hub(f"no hub answers on {place}: {_words(error)}")


def _no_hub(message: str) -> HubUnreachable:
    return HubUnreachable(message, next_step="Start it with 'shipway hub start'; its log is hub.log in the home.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    text: str


def call(method: str, url: str, body: bytes | None = None, timeout: float = 60.0) -> Answer:
    """One HTTP request to any server, with a JSON body. Raises EnvironmentFault when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, parts.path or "/", body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        raise nobody(url, error) from error
    finally:
        connection.close()


def nobody(url: str, error: Exception) -> EnvironmentFault:
    """No server, or a broken one, is at ``url``."""
    return EnvironmentFault(f"{url} does not answer: {_words(error)}", next_step="see shipway status")


class EventReader:
    """Lines of an event stream in, events with JSON objects as data out; an unfinished last one is dropped.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    def __init__(self) -> None:
        self._event, self._data = "message", ""

    def line(self, raw: bytes) -> Event | None:
        """The event that this line ends, if it does."""
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = line.partition(":")
        if not line:
            event, data = self._event, self._data
            self._event, self._data = "message", ""
            return (event, json.loads(data)) if data else None
        if name == "event":
            self._event = value.removeprefix(" ")
        elif name == "data":
            self._data += value.removeprefix(" ")
        return None


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of an :class:`EventReader` that reads these lines."""
    reader = EventReader()
    for line in lines:
        if event := reader.line(line):
            yield event


def told(event: Event) -> Event:
    """The event. One named ``error`` is raised as the error that it carries."""
    name, data = event
    if name == "error":
        raise from_json(data.get("error", {}))
    return event


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    # Not the response's own lines: those take a connection that broke for the end of the stream,
    # and a hub that was killed would look like one that is done.
    rest = b""
    while block := response.read1(BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
