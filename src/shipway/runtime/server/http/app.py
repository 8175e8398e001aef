"""One request from its head to its answer, on the event loop: route, read, decode, hand over, encode."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from shipway import __version__
from shipway.runtime.errors import BadInput
from shipway.runtime.server.codec import oip, rows
from shipway.runtime.server.http.routes import Action, HttpError, find
from shipway.runtime.server.observe.metrics import CONTENT_TYPE, ModelMetrics
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import Phase, State

Headers = list[tuple[str, str]]

_JSON = ("content-type", "application/json")


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
    """HTTP's entry to the server: :meth:`__rsgi__` is called for every request, on the event loop."""

    def __init__(self, settings: Settings, repository: Repository, state: State, metrics: ModelMetrics) -> None:
        self._limit = settings.server.max_body
        self._model = settings.model  # of paths that name none
        self._repository = repository
        self._state = state
        self._metrics = metrics

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        try:
            reply = await self._reply(scope, exchange)
        except HttpError as error:
            reply = _error(error)
        except Refused as refusal:
            reply = _error(_http(refusal))
        except Exception as error:  # a bug of ours; the caller still gets an answer
            traceback.print_exception(error, file=sys.stderr)
            reply = _error(HttpError(500, f"the server failed: {type(error).__name__}"))
        headers = list(reply.headers)
        if self._state.phase is Phase.DRAINING and scope.http_version.startswith("1"):
            headers.append(("connection", "close"))
        exchange.response_bytes(reply.status, headers, reply.body)

    async def _reply(self, scope: Scope, exchange: Exchange) -> Reply:
        target = find(scope.method, scope.path)
        name = target.model or self._model
        match target.action:
            case Action.INFER | Action.PREDICT:
                served = await self._repository.acquire(name, target.version)
                try:
                    return await self._counted(served, target.action, scope, exchange)
                finally:
                    served.release()
            case Action.LIVE:
                return _json({"live": True})
            case Action.READY:
                return self._readiness(name, ready=self._state.ready)
            case Action.MODEL_READY:
                return self._readiness(name, ready=self._repository.is_ready(name, target.version))
            case Action.SERVER:
                return _json({"name": "shipway", "version": __version__, "extensions": []})
            case Action.MODEL:
                return await self._metadata(name, target.version)
            case Action.METRICS:
                text = self._metrics.render(ready=self._state.ready)
                return Reply(text.encode(), headers=(("content-type", CONTENT_TYPE),))

    def _readiness(self, name: str, *, ready: bool) -> Reply:
        body = {"name": name, "live": True, "ready": ready}
        return _json(body if ready else body | {"error": self._state.phase.value}, 200 if ready else 503)

    async def _counted(self, served: ServedModel, action: Action, scope: Scope, exchange: Exchange) -> Reply:
        started = time.perf_counter()
        status = 500
        served.metrics.in_flight += 1
        try:
            reply = await self._inference(served, action, scope, exchange)
            status = reply.status
            return reply
        except HttpError as error:
            status = error.status
            raise
        except Refused as refusal:
            status = refusal.reason.value.http
            raise
        finally:
            served.metrics.in_flight -= 1
            served.metrics.answered(status, time.perf_counter() - started)

    async def _inference(self, served: ServedModel, action: Action, scope: Scope, exchange: Exchange) -> Reply:
        _refuse_encodings(scope.headers)
        body = await _read(scope.headers, exchange, self._limit)
        codec = oip if action is Action.INFER else rows
        try:
            call = codec.decode(body, served.signature)
            answer = await served.infer(call)
        except BadInput as error:
            raise HttpError(400, str(error)) from error
        if action is Action.PREDICT:
            return Reply(rows.encode(answer.outputs))
        return Reply(oip.encode(answer.outputs, call, model=served.name, version=served.version))

    async def _metadata(self, name: str, version: str | None) -> Reply:
        served = await self._repository.acquire(name, version)
        served.release()
        return _json(
            {
                "name": name,
                "versions": self._repository.versions(name),
                "platform": served.description.format,
                "inputs": [one.to_json() for one in served.signature.inputs],
                "outputs": [one.to_json() for one in served.signature.outputs],
            }
        )


def _http(refusal: Refused) -> HttpError:
    retry = refusal.retry_after
    headers = () if retry is None else (("retry-after", str(math.ceil(retry))),)
    return HttpError(refusal.reason.value.http, refusal.message, headers)


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
    too_large = HttpError(413, f"the body is larger than {limit} bytes (maxBody in the service's server block)")
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
