"""The HTTP face in this process: the socket is played, and so is the model; all between them is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.catalog import Place
from shipway.runtime.server.engine.executor import Description, Done, Stream
from shipway.runtime.server.http.app import App
from shipway.runtime.server.http.connection import Connection, Shared
from shipway.runtime.server.http.heads import Heads
from shipway.runtime.server.http.turn import Turn
from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State
from shipway.runtime.signature import Signature, Tensor

SIGNATURE = Signature((Tensor("x", "FP64", (-1, 2)),), (Tensor("sum", "FP64", (-1,)),))


class Played:
    """An executor whose model adds up each row, when ``go`` says so; or gives row after row."""

    def __init__(self, *, streams: bool = False) -> None:
        self.streams = streams
        self.go = asyncio.Event()
        self.go.set()
        self.idle = 1
        self.closed_streams = 0
        self.problem: Exception | None = None

    async def start(self) -> Description:
        return Description("played", SIGNATURE, streams=self.streams)

    def on_idle(self, wake: Callable[[], None]) -> None: ...

    def at_once(self, call: Call) -> Answer:
        raise NotImplementedError

    def run(self, call: Call, done: Done) -> Callable[[], None] | None:
        self.idle = 0
        task = asyncio.ensure_future(self._run(call, done))
        return task.cancel  # type: ignore[return-value]

    async def _run(self, call: Call, done: Done) -> None:
        try:
            await self.go.wait()
        finally:
            self.idle = 1
            done(self.problem or Answer({"sum": call.inputs["x"].sum(axis=1)}, call.rows))

    def stream(self, call: Call) -> Stream:
        return self._stream(call)  # type: ignore[return-value]

    async def _stream(self, call: Call) -> AsyncIterator[Mapping[str, Array]]:
        try:
            for row in call.inputs["x"]:
                await self.go.wait()
                if self.problem is not None and row[0] < 0:
                    raise self.problem
                yield {"sum": row.sum(keepdims=True)}
        finally:
            self.closed_streams += 1

    async def stop(self) -> None: ...


class Transport:
    """The socket's side of a connection. ``held``: what is written stays here, as if the client did not read."""

    def __init__(self) -> None:
        self.connection: Connection
        self.sent = b""
        self.held = False
        self.closed = asyncio.Event()
        self.reads = True
        self.wrote = asyncio.Event()

    def open(self, shared: Shared) -> None:
        self.connection = Connection(shared)
        self.connection.connection_made(self)

    def write(self, data: bytes) -> None:
        assert not self.closed.is_set(), "written after the end"
        self.sent += data
        self.wrote.set()
        if self.held:
            self.connection.pause_writing()

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return len(self.sent) if self.held else 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.wrote.set()
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close


@dataclass
class Answered:
    """An answer as h11 reads it; status 0: there was none."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    def json(self) -> Any:
        return json.loads(self.answer)

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


class Reader:
    """The client's side: bytes to answers, by another library than the server's."""

    def __init__(self) -> None:
        self._client = h11.Connection(h11.CLIENT)
        self._answered = Answered()

    def asks(self, method: str, target: str) -> None:
        if self._client.our_state is h11.DONE:
            self._client.start_next_cycle()
        self._client.send(h11.Request(method=method, target=target or "/", headers=[("host", "x")]))
        self._client.send(h11.EndOfMessage())

    def read(self, data: bytes) -> Answered | None:
        """The next answer, when it is whole. ``b""``: nothing more comes."""
        self._client.receive_data(data)
        answered = self._answered
        while True:
            event = self._client.next_event()
            match event:
                case h11.Response():
                    answered.status = event.status_code
                    answered.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                case h11.Data():
                    answered.answer += bytes(event.data)
                case h11.EndOfMessage():
                    self._answered = Answered()
                    return answered
                case h11.InformationalResponse():
                    continue
                case _:
                    return None


def raw(method: str, path: str, body: bytes | list[bytes], headers: Mapping[str, str]) -> bytes:
    """A request on the wire; a body given as a list goes in chunks."""
    length = {"transfer-encoding": "chunked"} if isinstance(body, list) else {"content-length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", "host: x", *(f"{n}: {v}" for n, v in {**length, **headers}.items())]
    pieces = [b"%x\r\n%b\r\n" % (len(one), one) for one in body] + [b"0\r\n\r\n"] if isinstance(body, list) else [body]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + b"".join(pieces)


class Face:
    """An app in front of one played model, "sums:3"."""

    def __init__(self, executor: Played, app: App, repository: Repository, state: State, metrics: Metrics) -> None:
        self.executor = executor
        self.app = app
        self.repository = repository
        self.state = state
        self.metrics = metrics
        self.shared = Shared(app, app._limit, 100, set(), Turn(), Heads())
        self.shared.tell_time(b"Sun, 06 Nov 1994 08:49:37 GMT")

    def connect(self) -> Transport:
        """A new connection."""
        transport = Transport()
        transport.open(self.shared)
        return transport

    async def ask(self, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answered:
        """Send a request and wait for the answer, streams included; a body that is no bytes or list goes as JSON."""
        data = body if isinstance(body, bytes | list) else json.dumps(body).encode()
        transport, reader = self.connect(), Reader()
        reader.asks(method, path)
        transport.connection.data_received(raw(method, path, data, headers or {}))
        while True:
            sent, transport.sent = transport.sent, b""
            answered = reader.read(sent) if sent else None
            if answered is not None:
                transport.close()
                return answered
            if transport.closed.is_set():
                return reader.read(b"") or Answered()
            transport.wrote.clear()
            await transport.wrote.wait()

    @property
    def in_flight(self) -> int:
        return self.metrics.of("sums", "3").in_flight


async def face(*, streams: bool = False, settings: Settings | None = None, executor: Any = None) -> Face:
    """Loaded and ready. ``executor``: another one than is played."""
    settings = settings or Settings(model="sums", version="3")
    executor, state, metrics = executor or Played(streams=streams), State(), Metrics()

    async def open_(place: Place) -> ServedModel:
        description = await executor.start()
        return ServedModel(place.name, place.version, executor, description, metrics.of(place.name, place.version))

    repository = Repository(state, lambda: {"sums": (Place("sums", "3", None),)}, open_)
    await repository.start()
    return Face(executor, App(settings, repository, state, Observer(metrics)), repository, state, metrics)
