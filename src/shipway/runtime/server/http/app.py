"""One request from its head to its answer, on the event loop: route, read, decode, hand over, encode."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from typing import Any

import msgspec

from shipway.runtime.errors import BadInput
from shipway.runtime.server.admin_key import check_key
from shipway.runtime.server.calls import Call
from shipway.runtime.server.http import admin, deadlines, events, pages
from shipway.runtime.server.http.body import read
from shipway.runtime.server.http.departures import Departures
from shipway.runtime.server.http.forms import FORMS, Form, header_length, json_only
from shipway.runtime.server.http.replies import HttpError, Reply, refused
from shipway.runtime.server.http.routes import REPOSITORY, Action, Target, find
from shipway.runtime.server.http.rsgi import Exchange, Incoming, Scope
from shipway.runtime.server.lingering import Lingering
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import Phase, State

Task = asyncio.Task[Any]

_BODY_TAKES = 60.0  # seconds for all of a body to come
_LOOK = 1.0  # seconds between two looks at bodies that have not come


class App:
    """HTTP's entry to the server: :meth:`__rsgi__` is called for every request, on the event loop."""

    def __init__(self, settings: Settings, repository: Repository, state: State, observer: Observer) -> None:
        self._settings = settings
        self._limit = settings.server.max_body
        self._timeout = settings.server.request_timeout
        self._repository = repository
        self._state = state
        self._observer = observer
        self._departures = Departures()
        self._streams = events.Streams()
        self._reading: Lingering[Task, float] = Lingering(_LOOK, self._overdue)
        self._late: set[Task] = set()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        try:
            target = find(scope.method, scope.path)
            form = FORMS.get(target.action)
            if form is not None:
                reply = await self._inference(target, form, scope, exchange)
                if reply is None:
                    return
            elif target.action in REPOSITORY:
                reply = await self._change(target, scope.headers, exchange)
            else:
                reply = await self._page(target)
        except HttpError as error:
            reply = error.reply()
        except Refused as refusal:
            reply = refused(refusal).reply()
        except BadInput as error:
            reply = HttpError(400, str(error)).reply()
        except Exception as error:  # a bug of ours; the caller still gets an answer
            traceback.print_exception(error, file=sys.stderr)
            reply = HttpError(500, f"the server failed: {type(error).__name__}").reply()
        headers = reply.headers
        if self._state.phase is Phase.DRAINING and scope.http_version.startswith("1"):
            headers = (*headers, ("connection", "close"))
        exchange.response_bytes(reply.status, headers, reply.body)

    async def _inference(self, target: Target, form: Form, scope: Scope, exchange: Exchange) -> Reply | None:
        """The answer; None when it was a stream, or when nobody waits for it any more."""
        headers = scope.headers
        seen = self._observer.begin("http", scope.method, scope.path, headers)
        status, size = 500, 0
        served: ServedModel | None = None
        try:
            served = await self._repository.acquire(target.model or self._own_model(), target.version)
            seen.of(served.metrics)
            task = asyncio.current_task()
            assert task is not None
            body = await self._body(task, headers, exchange)
            seen.read(len(body))
            call = self._call(form, body, headers, served, seen)
            if target.action is Action.INFER_STREAM or served.description.streams:
                status, size = await self._stream(target, form, call, served, headers, exchange)
                return None
            reply = await self._answer(task, form, call, served, seen, scope, exchange)
            identity = headers.get("x-request-id")
            if identity is not None:
                reply.headers = (*reply.headers, ("x-request-id", identity))
            status, size = reply.status, len(reply.body)
            return reply
        except HttpError as error:
            status = error.status
            raise
        except Refused as refusal:
            status = refusal.reason.value.http
            raise
        except BadInput:
            status = 400
            raise
        except asyncio.CancelledError:
            status = 499
            return None
        finally:
            if served is not None:
                served.release()
            self._observer.finish(seen, status, size)

    def _call(self, form: Form, body: bytes, headers: Incoming, served: ServedModel, seen: Observed) -> Call:
        """What is asked, and until when. Raises BadInput."""
        call = form.decode(body, header_length(headers.get("inference-header-content-length")), served.door)
        asked, envoys = headers.get("x-request-timeout"), headers.get("x-envoy-expected-rq-timeout-ms")
        if asked is not None or envoys is not None or self._timeout:
            expires = seen.came + deadlines.allowance(asked, envoys, self._timeout)
            call = msgspec.structs.replace(call, expires=expires)
        seen.decoded(call)
        return call

    async def _answer(
        self, task: Task, form: Form, call: Call, served: ServedModel, seen: Observed, scope: Scope, exchange: Exchange
    ) -> Reply:
        self._departures.enter(task, scope, exchange)
        try:
            answer = await served.infer(call)
        finally:
            self._departures.leave(task)
        seen.answered(answer)
        return form.encode(answer.outputs, call, served)

    async def _stream(
        self, target: Target, form: Form, call: Call, served: ServedModel, headers: Incoming, exchange: Exchange
    ) -> tuple[int, int]:
        """Code and bytes of the answer. Raises BadInput where a model that streams is asked for one answer."""
        wanted = target.action is Action.INFER_STREAM or "text/event-stream" in headers.get("accept", "")
        if not wanted:
            raise BadInput(
                f"model {served.name!r} answers with a stream: POST /v2/models/{served.name}/infer_stream, "
                "or /predict with `Accept: text/event-stream`"
            )
        call = json_only(call)
        outputs = served.stream(call) if served.description.streams else _once(served, call)
        identity = headers.get("x-request-id")
        heads = events.HEADERS if identity is None else (*events.HEADERS, ("x-request-id", identity))
        return await self._streams.answer(
            exchange, heads, outputs, lambda outputs: form.encode(outputs, call, served).body, call.expires
        )

    async def _page(self, target: Target) -> Reply:
        return await pages.page(target, self._settings, self._repository, self._state, self._observer.metrics)

    async def _change(self, target: Target, headers: Incoming, exchange: Exchange) -> Reply:
        check_key(headers, self._settings.admin_key)
        task = asyncio.current_task()
        assert task is not None
        return await admin.change(self._repository, target, await self._body(task, headers, exchange))

    async def _body(self, task: Task, headers: Incoming, exchange: Exchange) -> bytes:
        """All of it. Raises what :func:`read` does, and HttpError 408 for one that does not come."""
        self._reading.enter(task, time.monotonic() + _BODY_TAKES)
        try:
            return await read(headers, exchange, self._limit)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            self._late.discard(task)
            raise HttpError(408, f"the body did not come within {_BODY_TAKES:g} s") from None
        finally:
            self._reading.leave(task)

    def _overdue(self, task: Task, until: float) -> None:
        """A body has not come for a while. Whoever shuts down waits for none."""
        if time.monotonic() < until and self._state.phase is not Phase.DRAINING:
            self._reading.enter(task, until)
        else:
            self._late.add(task)
            task.cancel()

    def _own_model(self) -> str:
        """Of paths that name none."""
        names = self._repository.names()
        return names[0] if len(names) == 1 else self._settings.model


async def _once(served: ServedModel, call: Call) -> Any:
    """One answer as a stream."""
    yield (await served.infer(call)).outputs
