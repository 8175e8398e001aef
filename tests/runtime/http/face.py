"""The HTTP face in this process: granian's side is played, and so is the model; all between them is real."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.catalog import Place
from shipway.runtime.server.engine.executor import Description, Done, Stream
from shipway.runtime.server.http.app import App
from shipway.runtime.server.http.rsgi import Headers
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


class Departure(asyncio.Future[None]):
    """As granian's: it may be done with or without anybody looking."""


@dataclass
class Exchange:
    """granian's side of one request. A body given as a list comes in chunks."""

    body: bytes | list[bytes]
    breaks_off: bool = False
    comes: asyncio.Event | None = None
    status: int = 0
    headers: Headers = ()
    answer: bytes = b""
    departures: list[Departure] = field(default_factory=list)
    reader: asyncio.Task[bytes] | None = None

    def __call__(self) -> Any:
        return self._whole()

    async def _whole(self) -> bytes:
        if self.comes is not None:
            await self.comes.wait()
        if self.breaks_off:
            raise RuntimeError("RSGI transport is closed")
        assert isinstance(self.body, bytes)
        return self.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.body if isinstance(self.body, list) else [self.body]:
            yield chunk
        yield b""

    def client_disconnect(self) -> Departure:
        self.departures.append(Departure())
        return self.departures[-1]

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        assert not self.status, "answered twice"
        self.status, self.headers, self.answer = status, headers, body

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        assert not self.status, "answered twice"
        self.status, self.headers = status, headers
        handle = os.open(file, os.O_RDONLY)
        self.reader = asyncio.ensure_future(asyncio.to_thread(_read, handle))

    def json(self) -> Any:
        return json.loads(self.answer)

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


def _read(handle: int) -> bytes:
    with os.fdopen(handle, "rb") as file:
        return file.read()


@dataclass(frozen=True)
class Scope:
    method: str
    path: str
    headers: Any
    http_version: str = "1.1"
    client: str = "127.0.0.1:1"


class Face:
    """An app in front of one played model, "sums:3"."""

    def __init__(self, executor: Played, app: App, repository: Repository, state: State, metrics: Metrics) -> None:
        self.executor = executor
        self.app = app
        self.repository = repository
        self.state = state
        self.metrics = metrics

    async def ask(
        self, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None, **more: Any
    ) -> Exchange:
        """Send a request and wait for the answer, streams included; a body that is no bytes or list goes as JSON."""
        data = body if isinstance(body, bytes | list) else json.dumps(body).encode()
        length = {} if isinstance(data, list) else {"content-length": str(len(data))}
        exchange = Exchange(data, **more)
        await self.app.__rsgi__(Scope(method, path, {**length, **(headers or {})}), exchange)
        if exchange.reader is not None:
            exchange.answer = await exchange.reader
        return exchange

    @property
    def in_flight(self) -> int:
        return self.metrics.of("sums", "3").in_flight


async def face(*, streams: bool = False, settings: Settings | None = None) -> Face:
    """Loaded and ready."""
    settings = settings or Settings(model="sums", version="3")
    executor, state, metrics = Played(streams=streams), State(), Metrics()

    async def open_(place: Place) -> ServedModel:
        description = await executor.start()
        return ServedModel(place.name, place.version, executor, description, metrics.of(place.name, place.version))

    repository = Repository(state, lambda: {"sums": (Place("sums", "3", None),)}, open_)
    await repository.start()
    return Face(executor, App(settings, repository, state, Observer(metrics)), repository, state, metrics)
