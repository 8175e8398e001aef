"""A real Envoy, tiny servers behind it and raw clients before it: what the tests of this room play with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipway.envoy.gateway import EnvoyGateway
from shipway.envoy.listen import reserve_any
from shipway.envoy.workload import envoy_binary, workload
from shipway.traffic import RoutingTable, Upstream, VirtualRoute

LIMIT = 80 * 2**20


class EnvoyProcess:
    """Envoy on a folder of its own, as a supervisor would run it."""

    def __init__(self, folder: Path, sockets: Path, port: int) -> None:
        self.port = port
        self.gateway = EnvoyGateway(folder, sockets, port)
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self._backends: list[Backend] = []
        self._clients: list[Client] = []

    async def backend(self, name: str) -> Backend:
        """A server that ends with the stage."""
        self._backends.append(await Backend(name).start())
        return self._backends[-1]

    def client(self) -> Client:
        """A client that ends with the stage."""
        self._clients.append(Client(self.port))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            client.close()
        for backend in self._backends:
            backend.kill()
        await asyncio.sleep(0.01)  # let the tasks of their connections end

    def start(self) -> None:
        command = workload(envoy_binary(), self.folder).command
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process:
            os.killpg(self.process.pid, how)
            self.process.wait(10)
            self.process = None

    async def ready(self) -> None:
        """Until it serves what its files say."""
        give_up = time.monotonic() + 10
        while not (state := await self.gateway.state()).live:
            assert time.monotonic() < give_up, state
            await asyncio.sleep(0.01)


@contextmanager
def envoy_files() -> Iterator[EnvoyProcess]:
    """Not started yet. The folder is in /tmp: pytest's own paths are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="shipway-", dir="/tmp") as place, reserve_any([]) as kept:
        one = EnvoyProcess(Path(place) / "gateway", Path(place) / "run", kept.port)
        try:
            yield one
        finally:
            one.end()


@asynccontextmanager
async def envoy() -> AsyncIterator[EnvoyProcess]:
    """A running one, with an empty table."""
    with envoy_files() as one:
        await one.gateway.apply(RoutingTable())
        one.start()
        await one.ready()
        try:
            yield one
        finally:
            await one.close()


@dataclass
class Backend:
    """An HTTP/1.1 server that answers what it was asked, as JSON, with its own name.

    ``/die`` closes without an answer, ``/half`` after the headers of one, ``/sleep`` answers after 0.3 s,
    ``/drip`` in two chunks 0.3 s apart, ``/status/N`` with N. While ``loading``, it says that it takes no requests.
    """

    name: str
    loading: bool = False
    address: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)
    server: asyncio.Server | None = None

    async def start(self) -> Backend:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20, backlog=512)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    def kill(self) -> None:
        """As kill -9: nobody listens, and every connection is reset."""
        if self.server:
            self.server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while (request := await read_message(reader)) is not None:
                await self._answer(request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> None:
        method, path, _ = request.start.split(" ")
        self.asked[path] += 1
        if path.startswith("/die"):
            raise ConnectionResetError
        if path == "/half":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            await writer.drain()
            raise ConnectionResetError
        if path == "/drip":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await asyncio.sleep(0.3)
            writer.write(b"4\r\nlast\r\n0\r\n\r\n")
            return
        if path == "/websocket":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello")
            return
        if path == "/sleep":
            await asyncio.sleep(0.3)
        if self.loading:
            writer.write(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nx-shipway-not-serving: 1\r\n\r\n")
            return
        answer = {"backend": self.name, "method": method, "path": path, "size": len(request.body)}
        body = json.dumps({**answer, "headers": request.headers}).encode()
        status = path.removeprefix("/status/") if path.startswith("/status/") else "200"
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nserver: mine\r\nx-backend: {self.name}\r\n\r\n"
        writer.write(head.encode() + body)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response."""

    start: str
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    def json(self) -> Any:
        return json.loads(self.body)


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message of a connection; None at its end. Raises IncompleteReadError when it is cut off."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = head.decode().rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        return Message(start, headers, await _read_chunks(reader))
    return Message(start, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


class Client:
    """One keep-alive connection; opened again when it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, *, body: bytes | None = None, host: str = "localhost", **headers: str) -> Message:
        """One request; raises ConnectionError or IncompleteReadError when it is not answered."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT)
        reader, writer = self._streams
        lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
            answer = await read_message(reader)
        except BaseException:
            self.close()
            raise
        if answer is None:
            self.close()
            raise ConnectionResetError("closed without an answer")
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._streams:
            self._streams[1].transport.abort()
            self._streams = None


@dataclass
class Load:
    """What a number of clients saw."""

    good: Counter[str] = field(default_factory=Counter)  # by backend
    bad: Counter[str] = field(default_factory=Counter)  # by reason
    stop: bool = False

    async def until(self, answered: int) -> None:
        """Wait until that many more requests were answered well."""
        goal = self.good.total() + answered
        give_up = time.monotonic() + 15
        while self.good.total() < goal:
            assert time.monotonic() < give_up, self
            await asyncio.sleep(0.005)


@asynccontextmanager
async def load(port: int, path: str, *, clients: int = 16, body: bytes | None = None) -> AsyncIterator[Load]:
    """Ask without pause on that many connections while the block runs."""
    seen = Load()

    async def one() -> None:
        client = Client(port)
        while not seen.stop:
            try:
                answer = await client.ask(path, body=body)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                seen.bad[type(error).__name__] += 1
                continue
            right = answer.status == 200 and answer.json()["size"] == len(body or b"")
            (seen.good if right else seen.bad)[answer.headers.get("x-backend", answer.body.decode())] += 1
        client.close()

    tasks = [asyncio.create_task(one()) for _ in range(clients)]
    try:
        yield seen
    finally:
        seen.stop = True
        await asyncio.gather(*tasks)


def table(service: str = "digits", *, timeout: float = 60.0, retries: int = 1, **backends: Backend) -> RoutingTable:
    """One service with one upstream of these backends."""
    upstream = Upstream(f"{service}-1", tuple(sorted(one.address for one in backends.values())))
    return RoutingTable((upstream,), (VirtualRoute(service, ((upstream.name, 100),), timeout, retries),))
