"""A sample of requests as OpenTelemetry traces, sent over OTLP/HTTP to where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.

Everything is made when a request has ended, from the times that were noted on its way. OpenTelemetry's own batch
processor sends, on a thread of its own, and drops what a collector that is away or slow does not take.

Source: OpenTelemetry semantic conventions 1.38, "HTTP server span" and "RPC server span".
"""

from __future__ import annotations

import asyncio
import importlib
import random
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

from msgspec import Struct

from shipway import __version__
from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.observe import traceparent
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.observe.traceparent import Trace

_COMPANY = 0.05  # seconds that a batch's span waits for the requests that it was made of to end
_PATIENCE = 5.0  # seconds that the end waits for the collector
_MOST_LINKS = 32  # of one batch: all to all would be a million in one of a thousand requests
_OUR_FAULT = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}


_Batch = tuple[str, str, float]  # model, version, and when it began


class _Sampled(Struct):
    """The steps of a request whose own span is made, in nanoseconds since 1970."""

    span: Any
    decoded: int
    began: int
    computed: int
    answered: int


class Tracer:
    """A sink of the observer. ``sample``: which share of the requests that come without a trace is taken; those that
    come with one are taken when their caller takes them."""

    def __init__(self, provider: Any, sample: float, chance: Callable[[], float] = random.random) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("shipway", __version__)
        self._trace = importlib.import_module("opentelemetry.trace")
        self._sample = sample
        self._chance = chance
        self._batches: dict[_Batch, list[_Sampled]] = {}

    def take(self, seen: Observed) -> None:
        trace = traceparent.parse(seen.headers.get("traceparent"))
        if not (trace.sampled if trace else self._chance() < self._sample):
            return
        offset = time.time_ns() - time.monotonic_ns()

        def wall(at: float) -> int:
            return int(at * 1e9) + offset

        span = self._tracer.start_span(
            _name(seen),
            self._remote(trace),
            self._trace.SpanKind.SERVER,
            _attributes(seen),
            start_time=wall(seen.came),
        )
        if _is_our_fault(seen.code):
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(wall(seen.ended))
        trace_id = self._trace.format_trace_id(span.get_span_context().trace_id)
        seen.trace = Trace(trace_id, trace.parent if trace else "", sampled=True)
        answer = seen.answer
        if answer is not None and answer.began:
            times = (seen.decoded_at, answer.began, answer.began + answer.seconds, seen.answered_at)
            model = (seen.metrics.model, seen.metrics.version) if seen.metrics else ("", "")
            self._join((*model, answer.began), _Sampled(span, *map(wall, times)))

    def close(self) -> None:
        for key in list(self._batches):
            self._finish(key)
        # On a thread that may be left behind: against a collector that is away it tries for half a minute.
        flushing = Thread(target=self._provider.force_flush, name="last-traces", daemon=True)
        flushing.start()
        flushing.join(_PATIENCE)

    def _remote(self, trace: Trace | None) -> Any:
        if trace is None:
            return None
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        caller = self._trace.SpanContext(int(trace.trace_id, 16), int(trace.parent, 16), True, flags)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(caller))

    def _join(self, key: _Batch, sampled: _Sampled) -> None:
        """Calls of one batch began at the same time, and end within one turn of the loop."""
        if key not in self._batches:
            self._batches[key] = []
            asyncio.get_running_loop().call_later(_COMPANY, self._finish, key)
        self._batches[key].append(sampled)

    def _finish(self, key: _Batch) -> None:
        """Each request's trace shows the wait, the batch and the model; the batch points to the requests beside it."""
        members = self._batches.pop(key, [])
        links = [(one, self._trace.Link(one.span.get_span_context())) for one in members[:_MOST_LINKS]]
        for one in members:
            others = [link for other, link in links if other is not one]
            self._child("queue", one.span, one.decoded, one.began)
            batch = self._child("batch", one.span, one.began, one.answered, others)
            self._child("compute", batch, one.began, one.computed)

    def _child(self, name: str, parent: Any, start: int, end: int, links: list[Any] | None = None) -> Any:
        inside = self._trace.set_span_in_context(parent)
        span = self._tracer.start_span(name, inside, links=links, start_time=start)
        span.end(max(start, end))
        return span


def make_tracer(sample: float, service: str, instance: str) -> Tracer:
    """With the exporter of OpenTelemetry and its own variables (``OTEL_*``), which win over what we say of us. Raises
    ModelRefused when its packages are not installed."""
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        exporting = importlib.import_module("opentelemetry.sdk.trace.export")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    except ImportError as error:
        raise ModelRefused(f"traceSample needs OpenTelemetry: {error}; pip install 'shipway[tracing]'") from error
    ours = resources.Resource({"service.name": service, "service.instance.id": instance})
    told = resources.OTELResourceDetector().detect()
    resource = resources.Resource.create({}).merge(ours).merge(told)
    provider = sdk.TracerProvider(resource=resource, sampler=sampling.ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(exporting.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return Tracer(provider, sample)


def _name(seen: Observed) -> str:
    if seen.protocol == "grpc":
        return seen.path.lstrip("/")
    return f"{seen.method} {seen.path}" if seen.metrics is not None else seen.method


def _attributes(seen: Observed) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {}
    if seen.protocol == "grpc":
        attributes |= {
            "rpc.system.name": "grpc",
            "rpc.method": seen.path.lstrip("/"),
            "rpc.response.status_code": str(seen.code),
        }
    else:
        attributes |= {
            "http.request.method": seen.method,
            "http.response.status_code": seen.code,
            "url.path": seen.path,
            "url.scheme": "http",
        }
    if seen.metrics is not None:
        attributes |= {"shipway.model": seen.metrics.model, "shipway.version": seen.metrics.version}
        if seen.protocol == "http":
            attributes["http.route"] = seen.path  # of the names in it there are only as many as models
    if _is_our_fault(seen.code):
        attributes["error.type"] = str(seen.code)
    if seen.call is not None:
        attributes["shipway.rows"] = seen.call.rows
    if seen.id:
        attributes["shipway.request.id"] = seen.id
    return attributes


def _is_our_fault(code: int | str) -> bool:
    return code in _OUR_FAULT if isinstance(code, str) else code >= 500
