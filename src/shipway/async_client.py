"""The asynchronous twin of :mod:`shipway.client`: the same requests, over sockets of the event loop and h11.

Nothing runs in a thread: to cancel a task that waits here closes its connection at once.
Not asyncio's streams: when a write fails they forget what came to be read, and that may be why the hub refused it.
"""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import h11

from shipway.client import (
    BLOCK,
    BY,
    LARGEST_ERROR,
    Answer,
    Event,
    EventReader,
    check_owner,
    decoded,
    no_hub,
    nobody,
    not_a_path,
    refusal,
    streaming,
    told,
    who,
)
from shipway.errors import PlatformError

_Body = BinaryIO | bytes | None
_BROKEN = (OSError, EOFError, h11.RemoteProtocolError)  # TimeoutError is an OSError


class AsyncHubClient:
    """A hub at ``socket`` (a path) or at ``url`` (``http://127.0.0.1:PORT``, with ``token``).

    ``timeout``: seconds without a byte from the hub before it counts as gone. Raises what
    :class:`shipway.client.HubClient` raises.
    """

    def __init__(
        self, socket: Path | None = None, url: str | None = None, token: str | None = None, *, timeout: float = 120.0
    ) -> None:
        if (socket is None) == (url is None):
            raise PlatformError("AsyncHubClient takes either a socket or a url")
        self._socket = socket
        self._url = url
        self._token = token
        self._timeout = timeout

    async def get(self, path: str) -> Any:
        """GET; the answer's JSON."""
        return await self._json("GET", path)

    async def put(self, path: str, document: Any) -> Any:
        """PUT a JSON document; the answer's JSON."""
        return await self._json("PUT", path, document)

    async def post(self, path: str, document: Any = None) -> Any:
        """POST a JSON document (or nothing); the answer's JSON."""
        return await self._json("POST", path, document)

    async def delete(self, path: str) -> Any:
        """DELETE; the answer's JSON."""
        return await self._json("DELETE", path)

    async def upload(
        self, path: str, body: BinaryIO | bytes, length: int, *, content_type: str = "application/octet-stream"
    ) -> Any:
        """PUT ``length`` bytes as they are, a block at a time; the answer's JSON."""
        headers = {"Content-Type": content_type, "Content-Length": str(length)}
        async with self._answer("PUT", path, body, headers) as answer:
            return decoded(self._place, await answer.read())

    async def stream(self, path: str, document: Any = None) -> AsyncGenerator[Event, None]:
        """Server-sent events as ``(event, data)``, until the hub ends the stream; a POST when a document is given.

        An event named ``error`` is raised as the error that it carries.
        """
        reader = EventReader()
        async with self._answer(*streaming(path, document)) as answer:
            rest = b""
            async with aclosing(answer.blocks()) as blocks:
                async for block in blocks:
                    *lines, rest = (rest + block).split(b"\n")
                    for line in lines:
                        if event := reader.line(line):
                            yield told(event)

    async def _json(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
        async with self._answer(method, path, body, headers) as answer:
            return decoded(self._place, await answer.read())

    @asynccontextmanager
    async def _answer(self, method: str, path: str, body: _Body, headers: dict[str, str]) -> AsyncIterator[_Answer]:
        headers = {**headers, BY: who()}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            async with _connected(self._socket or self._url or "", self._timeout) as link:
                answer = await link.ask(method, path, body, headers)
                if answer.status >= 400:
                    raise refusal(self._place, answer.status, answer.reason, await answer.read(LARGEST_ERROR))
                yield answer
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise not_a_path(path, error) from error
        except _BROKEN as error:
            raise no_hub(self._place, error) from error

    @property
    def _place(self) -> str:
        return str(self._socket or self._url)


async def call(method: str, url: str, body: bytes | None = None, timeout: float = 60.0) -> Answer:
    """One HTTP request to any server, with a JSON body. Raises EnvironmentFault when nobody answers."""
    parts = urlsplit(url)
    headers = {} if body is None else {"Content-Type": "application/json", "Content-Length": str(len(body))}
    try:
        async with _connected(url, timeout) as link:
            answer = await link.ask(method, parts.path or "/", body, headers)
            return Answer(answer.status, (await answer.read()).decode("utf-8", "replace"))
    except (*_BROKEN, h11.LocalProtocolError) as error:
        raise nobody(url, error) from error


@asynccontextmanager
async def _connected(place: Path | str, timeout: float) -> AsyncIterator[_Link]:
    """A connection to a Unix socket of ours (a path), or to the host and port of a URL."""
    unix = isinstance(place, Path)
    with sockets.socket(sockets.AF_UNIX if unix else sockets.AF_INET) as link:
        link.setblocking(False)
        address = str(place) if unix else _address(str(place))
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(link, address)
        if isinstance(place, Path):
            check_owner(link, place)
        yield _Link(link, timeout)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


class _Link:
    """One connection, for one request and its answer."""

    def __init__(self, socket: sockets.socket, timeout: float) -> None:
        self._socket = socket
        self._timeout = timeout
        self._http = h11.Connection(h11.CLIENT)
        self._loop = asyncio.get_running_loop()

    async def ask(self, method: str, path: str, body: _Body, headers: Mapping[str, str]) -> _Answer:
        """Send the request; the begin of its answer."""
        fields = [("Host", "localhost"), ("Connection", "close"), *headers.items()]
        try:
            await self._send(h11.Request(method=method, target=path, headers=fields))
            for block in _blocks(body):
                await self._send(h11.Data(data=block))
            await self._send(h11.EndOfMessage())
        except (BrokenPipeError, ConnectionResetError):
            # The hub may refuse an upload before it has read all of it: its answer says why.
            pass
        while not isinstance(event := await self.event(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise EOFError("the connection was closed without an answer")
        return _Answer(self, event.status_code, event.reason.decode("latin-1"))

    async def event(self) -> object:
        """The next part of the answer. Raises h11.RemoteProtocolError when the connection broke before its end."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(self._timeout):
                self._http.receive_data(await self._loop.sock_recv(self._socket, BLOCK))
        return event

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        async with asyncio.timeout(self._timeout):
            await self._loop.sock_sendall(self._socket, data or b"")


class _Answer:
    """The status of an answer, and its body as it comes."""

    def __init__(self, link: _Link, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        self._link = link

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        while isinstance(event := await self._link.event(), h11.Data):
            yield bytes(event.data)

    async def read(self, limit: int | None = None) -> bytes:
        """The body, or its first ``limit`` bytes and perhaps some more."""
        body = bytearray()
        async with aclosing(self.blocks()) as blocks:
            async for block in blocks:
                body += block
                if limit is not None and len(body) >= limit:
                    break
        return bytes(body)


def _blocks(body: _Body) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        while block := body.read(BLOCK):
            yield block
