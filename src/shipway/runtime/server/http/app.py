"""One request from its head to its answer, on the event loop: route, decode, hand over, encode.

What the model answers at once waits for nothing but the end of the loop's turn, where all that came in it is answered
together; what else has to wait gets a task, which its client's going away cancels.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from shipway.runtime.errors import BadInput
from shipway.runtime.server.admin_key import check_key
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.engine.brief import Gathered
from shipway.runtime.server.http import admin, body, deadlines, events, pages
from shipway.runtime.server.http.connection import Connection
from shipway.runtime.server.http.forms import FORMS, Form, header_length, json_only
from shipway.runtime.server.http.messages import Request
from shipway.runtime.server.http.replies import HttpError, Reply, refused
from shipway.runtime.server.http.routes import REPOSITORY, Action, Target, find
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State

_CODING = "content-encoding"
_GONE = 499  # nobody reads the answer


class Asked(Struct, eq=False):
    """An inference request under way; ``served`` is held from when it is found until :meth:`App._end`."""

    target: Target
    form: Form
    request: Request
    seen: Observed
    served: ServedModel | None = None


class Brief(NamedTuple):
    """One that is answered at the end of the turn."""

    asked: Asked
    call: Call
    exchange: Connection


class App:
    """HTTP's entry to the server: :meth:`take` is called for every request, on the event loop."""

    def __init__(self, settings: Settings, repository: Repository, state: State, observer: Observer) -> None:
        self._settings = settings
        self._limit = settings.server.max_body
        self._timeout = settings.server.request_timeout
        self._repository = repository
        self._state = state
        self._observer = observer
        self._gathered: dict[ServedModel, list[Brief]] = {}

    def take(self, request: Request, exchange: Connection) -> None:
        """Answer now, or in a task of the exchange."""
        try:
            target = find(request.method, request.path)
        except HttpError as error:
            exchange.reply(error.reply())
            return
        form = FORMS.get(target.action)
        if form is None:
            exchange.run(self._other(target, request, exchange))
        else:
            self._infer(self._begin(target, form, request), exchange)

    def refuse(self, request: Request, error: HttpError | Refused) -> Reply:
        """The answer to what did not come whole; an inference is counted."""
        try:
            target = find(request.method, request.path)
        except HttpError as unknown:
            return unknown.reply()
        form = FORMS.get(target.action)
        if form is None:
            return _reply_to(error)
        asked = self._begin(target, form, request)
        asked.served = served = self._repository.at_hand(self._model(target), target.version)
        if served is not None:
            asked.seen.of(served.metrics)
        return self._refused(asked, error)

    # Inferences

    def _begin(self, target: Target, form: Form, request: Request) -> Asked:
        seen = self._observer.begin("http", request.method, request.path, request.headers, request.came)
        return Asked(target, form, request, seen)

    def _infer(self, asked: Asked, exchange: Connection) -> None:
        request = asked.request
        try:
            asked.served = served = self._repository.at_hand(self._model(asked.target), asked.target.version)
            coding = request.headers.get(_CODING)
            if served is None or not body.brief(request.body, coding):
                exchange.run(self._infer_later(asked, exchange))
                return
            asked.seen.of(served.metrics)
            call = self._call(asked, body.unpacked(request.body, coding, self._limit), served)
        except Exception as error:
            exchange.reply(self._refused(asked, error))
            return
        if served.is_brief(call) and not self._streams(asked, served):
            if not self._gathered:
                exchange.later(self._answer_gathered)
            self._gathered.setdefault(served, []).append(Brief(asked, call, exchange))
        else:
            exchange.run(self._wait(asked, call, served, exchange))

    def _answer_gathered(self) -> None:
        """Those that the models answer at once, all of a turn together."""
        gathered, self._gathered = self._gathered, {}
        for served, several in gathered.items():
            here = []
            for one in several:
                if one.exchange.answering:
                    here.append(one)
                else:
                    self._end(one.asked, _GONE, 0)
            try:
                results = served.at_once([Gathered(one.call, one.asked.seen.decoded_at) for one in here])
            except Exception as error:
                results = [error] * len(here)
            if results is None:
                for one in here:
                    one.exchange.run(self._wait(one.asked, one.call, served, one.exchange))
                continue
            for one, result in zip(here, results, strict=True):
                one.exchange.reply(self._reply(one.asked, one.call, result, served))

    def _reply(self, asked: Asked, call: Call, result: Answer | Exception, served: ServedModel) -> Reply:
        try:
            if isinstance(result, Answer):
                return self._answered(asked, call, result, served)
        except Exception as error:
            result = error
        return self._refused(asked, result)

    async def _infer_later(self, asked: Asked, exchange: Connection) -> None:
        """The same for what has to wait before its call is known: a model that must be loaded, a large packed body."""
        try:
            served = asked.served
            if served is None:
                model, version = self._model(asked.target), asked.target.version
                asked.served = served = await self._repository.acquire(model, version)
            asked.seen.of(served.metrics)
            request = asked.request
            plain = await body.unpacked_aside(request.body, request.headers.get(_CODING), self._limit)
            call = self._call(asked, plain, served)
        except asyncio.CancelledError:
            self._end(asked, _GONE, 0)
            raise
        except Exception as error:
            exchange.reply(self._refused(asked, error))
            return
        await self._wait(asked, call, served, exchange)

    async def _wait(self, asked: Asked, call: Call, served: ServedModel, exchange: Connection) -> None:
        """Until the model has answered."""
        try:
            if self._streams(asked, served):
                self._end(asked, *await self._stream(asked, call, served, exchange))
                return
            reply = self._answered(asked, call, await served.infer(call), served)
        except asyncio.CancelledError:
            self._end(asked, _GONE, 0)
            raise
        except Exception as error:
            reply = self._refused(asked, error)
        exchange.reply(reply)

    def _call(self, asked: Asked, plain: bytes, served: ServedModel) -> Call:
        """What is asked, and until when. Raises BadInput."""
        headers, seen = asked.request.headers, asked.seen
        seen.read(len(plain))
        call = asked.form.decode(plain, header_length(headers.get("inference-header-content-length")), served.door)
        wanted, envoys = headers.get("x-request-timeout"), headers.get("x-envoy-expected-rq-timeout-ms")
        if wanted is not None or envoys is not None or self._timeout:
            expires = seen.came + deadlines.allowance(wanted, envoys, self._timeout)
            call = msgspec.structs.replace(call, expires=expires)
        seen.decoded(call)
        return call

    def _answered(self, asked: Asked, call: Call, answer: Answer, served: ServedModel) -> Reply:
        asked.seen.answered(answer)
        reply = asked.form.encode(answer.outputs, call, served)
        identity = asked.request.headers.get("x-request-id")
        if identity is not None:
            reply.headers = (*reply.headers, ("x-request-id", identity))
        self._end(asked, reply.status, len(reply.body))
        return reply

    def _refused(self, asked: Asked, error: Exception) -> Reply:
        reply = _reply_to(error)
        self._end(asked, reply.status, 0)
        return reply

    def _end(self, asked: Asked, status: int, size: int) -> None:
        """It is answered, or nobody waits for it any more."""
        if asked.served is not None:
            asked.served.release()
        self._observer.finish(asked.seen, status, size)

    # Streams

    @staticmethod
    def _streams(asked: Asked, served: ServedModel) -> bool:
        return served.description.streams or asked.target.action is Action.INFER_STREAM

    async def _stream(self, asked: Asked, call: Call, served: ServedModel, exchange: Connection) -> tuple[int, int]:
        """Code and bytes of the answer. Raises BadInput where a model that streams is asked for one answer."""
        headers = asked.request.headers
        if asked.target.action is not Action.INFER_STREAM and "text/event-stream" not in headers.get("accept", ""):
            raise BadInput(
                f"model {served.name!r} answers with a stream: POST /v2/models/{served.name}/infer_stream, "
                "or /predict with `Accept: text/event-stream`"
            )
        call = json_only(call)
        outputs = served.stream(call) if served.description.streams else _once(served, call)
        identity = headers.get("x-request-id")
        heads = events.HEADERS if identity is None else (*events.HEADERS, ("x-request-id", identity))
        return await events.answer(
            exchange, heads, outputs, lambda outputs: asked.form.encode(outputs, call, served).body, call.expires
        )

    # The rest

    async def _other(self, target: Target, request: Request, exchange: Connection) -> None:
        try:
            if target.action in REPOSITORY:
                check_key(request.headers, self._settings.admin_key)
                plain = body.unpacked(request.body, request.headers.get(_CODING), self._limit)
                reply = await admin.change(self._repository, target, plain)
            else:
                metrics = self._observer.metrics
                reply = await pages.page(target, self._settings, self._repository, self._state, metrics)
        except Exception as error:
            reply = _reply_to(error)
        exchange.reply(reply)

    def _model(self, target: Target) -> str:
        """The one that is named, or for paths that name none the only one."""
        if target.model:
            return target.model
        names = self._repository.names()
        return names[0] if len(names) == 1 else self._settings.model


def _reply_to(error: Exception) -> Reply:
    """What the caller is told. An error that nobody meant is a bug of ours: the caller still gets an answer."""
    match error:
        case HttpError():
            return error.reply()
        case Refused():
            return refused(error).reply()
        case BadInput():
            return HttpError(400, str(error)).reply()
        case _:
            traceback.print_exception(error, file=sys.stderr)
            return HttpError(500, f"the server failed: {type(error).__name__}").reply()


async def _once(served: ServedModel, call: Call) -> Any:
    """One answer as a stream."""
    yield (await served.infer(call)).outputs
