"""One inference request as the server sees it: what it asks, what it gets, and when each step was over."""

from __future__ import annotations

from time import monotonic
from typing import Any, Protocol

from msgspec import Struct

from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.observe.metrics import ModelMetrics
from shipway.runtime.server.observe.traceparent import Trace


class Headers(Protocol):
    """What came beside the body: HTTP's headers or gRPC's metadata, names in lower case."""

    def get(self, key: str, default: Any = None) -> Any: ...


class Observed(Struct, eq=False):
    """Both protocols make one when a request comes, tell it each step, and give it to :meth:`Observer.finish`.

    All times are of ``time.monotonic()``; 0 for a step that was not reached. ``method`` and ``path`` are gRPC's
    ``"POST"`` and ``/inference.GRPCInferenceService/ModelInfer`` there. ``code`` is HTTP's number or gRPC's name.
    """

    protocol: str  # "http" or "grpc"
    method: str
    path: str
    headers: Headers
    came: float
    metrics: ModelMetrics | None = None
    received: int = 0
    read_at: float = 0.0
    call: Call | None = None
    decoded_at: float = 0.0
    answer: Answer | None = None
    answered_at: float = 0.0
    code: int | str = 0
    sent: int = 0
    ended: float = 0.0
    trace: Trace | None = None

    def of(self, metrics: ModelMetrics) -> None:
        """It is for this model, which will answer it."""
        self.metrics = metrics
        metrics.in_flight += 1

    def read(self, size: int) -> None:
        """Its body is here, of ``size`` bytes."""
        self.received = size
        self.read_at = monotonic()

    def decoded(self, call: Call) -> None:
        """It is understood."""
        self.call = call
        self.decoded_at = monotonic()

    def answered(self, answer: Answer) -> None:
        """The model has answered."""
        self.answer = answer
        self.answered_at = monotonic()

    @property
    def queued(self) -> float:
        """Seconds between being understood and the model's beginning; 0 where nobody looked."""
        began = self.answer.began if self.answer is not None else 0.0
        return max(began - self.decoded_at, 0.0) if began else 0.0

    @property
    def id(self) -> str | None:
        """The caller's name for it: the body's, or else the header's."""
        own = self.call.id if self.call is not None else None
        return own or self.headers.get("x-request-id")
