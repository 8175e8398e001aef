"""The methods of the Open Inference Protocol's service, on the event loop.

Source: Open Inference Protocol v2, "GRPC"; Triton's model repository extension and its ModelStreamInfer.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

from shipway import __version__
from shipway.runtime.errors import BadInput
from shipway.runtime.server.admin_key import check_key
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.rpc import codec
from shipway.runtime.server.rpc.failure import failure_of
from shipway.runtime.server.rpc.handlers import Context, Stream, Unary
from shipway.runtime.server.rpc.messages import message
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State

SERVICE = "inference.GRPCInferenceService"
EXTENSIONS = ("model_repository",)

_INFER, _STREAM_INFER = f"/{SERVICE}/ModelInfer", f"/{SERVICE}/ModelStreamInfer"
# Triton's words: with the first a client asks for an empty response with the second, when a request's last one is out.
_ASKS_FOR_END, _IS_END = "triton_enable_empty_final_response", "triton_final_response"


class Inference:
    """Answers from the models of a repository."""

    def __init__(self, settings: Settings, repository: Repository, state: State, observer: Observer) -> None:
        self._settings = settings
        self._repository = repository
        self._state = state
        self._observer = observer
        self._timeout = settings.server.request_timeout or math.inf

    @property
    def behaviours(self) -> dict[str, Unary | Stream]:
        """Its methods by name."""
        return {
            "ServerLive": self.server_live,
            "ServerReady": self.server_ready,
            "ModelReady": self.model_ready,
            "ServerMetadata": self.server_metadata,
            "ModelMetadata": self.model_metadata,
            "ModelInfer": self.infer,
            "ModelStreamInfer": self.stream_infer,
            "RepositoryIndex": self.index,
            "RepositoryModelLoad": self.load,
            "RepositoryModelUnload": self.unload,
        }

    async def infer(self, request: Any, context: Context) -> bytes:
        """One answer. Raises Refused, BadInput. When the call is cancelled, so is the model's work."""
        seen = self._observer.begin("grpc", "POST", _INFER, context.metadata, monotonic())
        code, sent = "INTERNAL", 0
        try:
            served = await self._repository.acquire(request.model_name, request.model_version or None)
            try:
                answer = await self._answer(served, request, context, seen)
            finally:
                served.release()
            code, sent = "OK", len(answer)
            return answer
        except BaseException as error:
            code = _code_of(error, context)
            raise
        finally:
            self._observer.finish(seen, code, sent)

    async def stream_infer(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[bytes]:
        """All answers to one request after another. What a request is refused for is told in the stream, which goes on:
        the next one may be fine."""
        response = message("inference.ModelStreamInferResponse")
        async for request in requests:
            seen = self._observer.begin("grpc", "POST", _STREAM_INFER, context.metadata, monotonic())
            code, sent = "INTERNAL", 0
            try:
                async for answer in self._answers(request, context, seen):
                    data = response(infer_response=answer).SerializeToString()
                    sent += len(data)
                    yield data
                code = "OK"
            except Exception as error:
                failure = failure_of(error)
                code = failure.code.name
                empty = {"id": request.id, "model_name": request.model_name}
                yield response(error_message=failure.message, infer_response=empty).SerializeToString()
            except BaseException as error:  # GeneratorExit, too: the client is gone
                code = _code_of(error, context)
                raise
            finally:
                self._observer.finish(seen, code, sent)

    async def server_live(self, _request: Any, _context: Context) -> bytes:
        """Always true: who is not live does not answer."""
        return _pack("ServerLiveResponse", live=True)

    async def server_ready(self, _request: Any, _context: Context) -> bytes:
        """Whether requests should be sent here."""
        return _pack("ServerReadyResponse", ready=self._state.ready)

    async def model_ready(self, request: Any, _context: Context) -> bytes:
        """Whether a version answers now. Raises Refused NOT_FOUND."""
        ready = self._repository.is_ready(request.name, request.version or None)
        return _pack("ModelReadyResponse", ready=ready)

    async def server_metadata(self, _request: Any, _context: Context) -> bytes:
        """Name and version of this server."""
        return _pack("ServerMetadataResponse", name="shipway", version=__version__, extensions=EXTENSIONS)

    async def model_metadata(self, request: Any, _context: Context) -> bytes:
        """What a model takes and gives. Raises Refused."""
        served = await self._repository.acquire(request.name, request.version or None)
        served.release()
        return _pack(
            "ModelMetadataResponse",
            name=served.name,
            versions=self._repository.versions(served.name),
            platform=served.description.format,
            inputs=[one.to_json() for one in served.signature.inputs],
            outputs=[one.to_json() for one in served.signature.outputs],
        )

    async def index(self, request: Any, context: Context) -> bytes:
        """All versions of all models. Raises Refused FORBIDDEN."""
        check_key(context.metadata, self._settings.admin_key)
        return _pack("RepositoryIndexResponse", models=self._repository.index(ready=request.ready))

    async def load(self, request: Any, context: Context) -> bytes:
        """Load a version (the parameter ``version``, else the newest) and make it the default. Raises Refused."""
        check_key(context.metadata, self._settings.admin_key)
        # Triton takes a configuration and files in the others: what is served here comes from the folder of models.
        if refused := sorted(request.parameters.keys() - {"version"}):
            raise BadInput(f"parameter {refused[0]!r} is not taken over the network: version is known")
        version = request.parameters["version"].string_param if request.parameters else ""
        await self._repository.load(request.model_name, version or None)
        return _pack("RepositoryModelLoadResponse")

    async def unload(self, request: Any, context: Context) -> bytes:
        """Answer what is under way, and refuse new requests. Raises Refused."""
        check_key(context.metadata, self._settings.admin_key)
        await self._repository.unload(request.model_name)
        return _pack("RepositoryModelUnloadResponse")

    async def _answer(self, served: ServedModel, request: Any, context: Context, seen: Observed) -> bytes:
        call = self._call(served, request, context, seen)
        answer = await served.infer(call)
        seen.answered(answer)
        return codec.encode(
            answer.outputs, call, served.door, model=served.name, version=served.version, parameters=answer.parameters
        )

    async def _answers(self, request: Any, context: Context, seen: Observed) -> AsyncIterator[Any]:
        """The ModelInferResponses to one request, by a model that streams or by one that does not."""
        parse = message("inference.ModelInferResponse").FromString
        served = await self._repository.acquire(request.model_name, request.model_version or None)
        try:
            if not served.description.streams:
                yield parse(await self._answer(served, request, context, seen))
            else:
                call = self._call(served, request, context, seen)
                async for outputs in served.stream(call):
                    yield parse(codec.encode(outputs, call, served.door, model=served.name, version=served.version))
            if _ASKS_FOR_END in request.parameters and request.parameters[_ASKS_FOR_END].bool_param:
                end = message("inference.ModelInferResponse")(
                    model_name=served.name, model_version=served.version, id=request.id
                )
                end.parameters[_IS_END].bool_param = True
                yield end
        finally:
            served.release()

    def _call(self, served: ServedModel, request: Any, context: Context, seen: Observed) -> Any:
        seen.of(served.metrics)
        seen.read(request.ByteSize())
        call = codec.decode(request, served.door, expires=self._expires(context))
        seen.decoded(call)
        return call

    def _expires(self, context: Context) -> float:
        return context.expires if context.expires != math.inf else time.monotonic() + self._timeout


def _pack(name: str, /, **fields: Any) -> bytes:
    data: bytes = message(f"inference.{name}")(**fields).SerializeToString()
    return data


def _code_of(error: BaseException, context: Context) -> str:
    """The status by which a call without an answer is counted."""
    return _reason_of(error, context).value.grpc


def _reason_of(error: BaseException, context: Context) -> Reason:
    match error:
        case Refused():
            return error.reason
        case BadInput():
            return Reason.INVALID
        case Exception():
            return Reason.FAILED
    return Reason.CANCELLED if time.monotonic() < context.expires else Reason.EXPIRED
