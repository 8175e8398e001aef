"""One request from its head to its answer, on the event loop: route, read, decode, hand over, encode."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import msgspec

from shipway import __version__
from shipway.runtime.errors import BadInput
from shipway.runtime.server import oip, rows
from shipway.runtime.server.engine import Engine
from shipway.runtime.server.metrics import CONTENT_TYPE, Metrics
from shipway.runtime.server.model import Model, PredictFailed
from shipway.runtime.server.routes import Action, HttpError, router_for
from shipway.runtime.server.settings import Settings

Headers = list[tuple[str, str]]

_JSON = ("content-type", "application/json")


class State(Enum):
    """Where the replica stands in its life; the value is said to callers."""

    LOADING = "the model is being loaded"
    READY = "ready"
    DRAINING = "this replica is shutting down"


class Incoming(Protocol):
    """The headers of a request (names in lower case)."""

    def get(self, key: str, default: Any = None) -> Any: ...


class Scope(Protocol):
    """The head of a request: RSGI's scope, the part that we read."""

    http_version: str
    method: str
    path: str

    @property
    def headers(self) -> Incoming: ...


class Exchange(Protocol):
    """The rest of a request and the way to answer: RSGI's HTTP protocol object."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (_JSON,)


class App:
    """The server's state and its one entry, :meth:`__rsgi__`."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.state = State.LOADING
        self.model: Model | None = None
        self.metrics = Metrics(settings.model, settings.version)
        self._settings = settings
        self._engine = engine
        self._router = router_for(settings.model, settings.version)
        self._idle = asyncio.Event()
        self._idle.set()

    def serve(self, model: Model) -> None:
        """The model is loaded and warm: requests may come."""
        self.model = model
        if self.state is State.LOADING:
            self.state = State.READY

    async def drain(self) -> None:
        """Say "not ready" from now on, and return when every request has its answer."""
        self.state = State.DRAINING
        await asyncio.sleep(self._settings.drain_delay)
        await self._idle.wait()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        try:
            reply = await self._reply(scope, exchange)
        except HttpError as error:
            reply = _error(error)
        except Exception as error:  # a bug of ours; the caller still gets an answer
            traceback.print_exception(error, file=sys.stderr)
            reply = _error(HttpError(500, f"the server failed: {type(error).__name__}"))
        headers = list(reply.headers)
        if self.state is State.DRAINING and scope.http_version.startswith("1"):
            headers.append(("connection", "close"))
        exchange.response_bytes(reply.status, headers, reply.body)

    async def _reply(self, scope: Scope, exchange: Exchange) -> Reply:
        action = self._router.find(scope.method, scope.path)
        match action:
            case Action.INFER | Action.PREDICT:
                return await self._counted(action, scope, exchange)
            case Action.LIVE:
                return _json({"live": True})
            case Action.READY | Action.MODEL_READY:
                ready = self.state is State.READY
                body = {"name": self._settings.model, "live": True, "ready": ready}
                return _json(body if ready else body | {"error": self.state.value}, 200 if ready else 503)
            case Action.SERVER:
                return _json({"name": "shipway", "version": __version__, "extensions": []})
            case Action.MODEL:
                return _json(self._metadata(self._loaded()))
            case Action.METRICS:
                format_ = self.model.format if self.model else ""
                text = self.metrics.render(ready=self.state is State.READY, format=format_)
                return Reply(text.encode(), headers=(("content-type", CONTENT_TYPE),))

    async def _counted(self, action: Action, scope: Scope, exchange: Exchange) -> Reply:
        started = time.perf_counter()
        status = 500
        self.metrics.in_flight += 1
        self._idle.clear()
        try:
            reply = await self._inference(action, scope, exchange)
            status = reply.status
            return reply
        except HttpError as error:
            status = error.status
            raise
        finally:
            self.metrics.in_flight -= 1
            self.metrics.answered(status, time.perf_counter() - started)
            if not self.metrics.in_flight:
                self._idle.set()

    async def _inference(self, action: Action, scope: Scope, exchange: Exchange) -> Reply:
        model = self._loaded()
        _refuse_encodings(scope.headers)
        body = await _read(scope.headers, exchange, self._settings.max_body)
        codec = oip if action is Action.INFER else rows
        try:
            request = codec.decode(body, model.signature)
            answer = await self._engine.run(model, request)
        except BadInput as error:
            raise HttpError(400, str(error)) from error
        except PredictFailed as error:
            raise HttpError(500, str(error)) from error
        self.metrics.computed(answer.rows, answer.seconds)
        if action is Action.PREDICT:
            return Reply(rows.encode(answer.outputs))
        return Reply(oip.encode(answer.outputs, request, model=self._settings.model, version=self._settings.version))

    def _loaded(self) -> Model:
        if self.model is None:
            message = f"model {self._settings.model!r} is not ready: {self.state.value}"
            raise HttpError(503, message, (("retry-after", "1"),))
        return self.model

    def _metadata(self, model: Model) -> dict[str, Any]:
        return {
            "name": self._settings.model,
            "versions": [self._settings.version],
            "platform": model.format,
            "inputs": [one.to_json() for one in model.signature.inputs],
            "outputs": [one.to_json() for one in model.signature.outputs],
        }


def _json(document: dict[str, Any], status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(document), status)


def _error(error: HttpError) -> Reply:
    return Reply(msgspec.json.encode({"error": error.message}), error.status, (_JSON, *error.headers))


def _refuse_encodings(headers: Incoming) -> None:
    if headers.get("inference-header-content-length") is not None:
        raise HttpError(400, "the binary tensor extension is not supported: send tensors as JSON")
    coding = headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise HttpError(415, f"content-encoding {coding!r} is not supported: send plain JSON")


async def _read(headers: Incoming, exchange: Exchange, limit: int) -> bytes:
    """The body, never more than ``limit`` bytes of it in memory. Raises HttpError 413."""
    too_large = HttpError(413, f"the body is larger than {limit} bytes (SHIPWAY_MAX_BODY)")
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > limit:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    async for chunk in exchange:
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
