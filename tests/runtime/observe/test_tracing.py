"""Traces, from the request to the protobuf that a collector gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.observe.tracing import Tracer, make_tracer
from tests.runtime.observe.collector import Collector, attributes, collector
from tests.runtime.observe.seen import seen

pytestmark = pytest.mark.extras

ID, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{ID}-{PARENT}-01"}
UNSAMPLED = {"traceparent": f"00-{ID}-{PARENT}-00"}
SERVER = 2  # SpanKind of the protocol
ERROR = 2  # StatusCode of the protocol


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    with collector() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        yield one


def _trace(*requests: Observed, sample: float = 1.0) -> None:
    async def run() -> None:
        tracer = make_tracer(sample, "digits", "digits-1/0")
        for one in requests:
            tracer.take(one)
        await asyncio.to_thread(tracer.close)
        tracer._provider.shutdown()

    asyncio.run(run())


def _by_name(receiver: Collector) -> dict[str, Any]:
    return {span.name: span for span in receiver.spans}


def test_a_request_is_a_server_span_with_its_steps(receiver: Collector) -> None:
    before = time.time_ns() - time.monotonic_ns()
    request = seen(id_="a")
    _trace(request)
    spans = _by_name(receiver)
    assert sorted(spans) == ["POST /v2/models/digits/infer", "batch", "compute", "queue"]
    root, queue, batch, compute = (
        spans["POST /v2/models/digits/infer"],
        spans["queue"],
        spans["batch"],
        spans["compute"],
    )
    assert root.kind == SERVER
    assert not root.parent_span_id
    assert (queue.parent_span_id, batch.parent_span_id, compute.parent_span_id) == (
        root.span_id,
        root.span_id,
        batch.span_id,
    )
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert request.trace is not None
    assert request.trace.trace_id == root.trace_id.hex()
    assert attributes(root) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v2/models/digits/infer",
        "url.path": "/v2/models/digits/infer",
        "url.scheme": "http",
        "shipway.model": "digits",
        "shipway.version": "1",
        "shipway.rows": 2,
        "shipway.request.id": "a",
    }
    milliseconds = [(span.start_time_unix_nano, span.end_time_unix_nano) for span in (root, queue, batch, compute)]
    assert [((end - start) / 1e6) for start, end in milliseconds] == pytest.approx([10, 1, 7, 5])
    assert (root.start_time_unix_nano - before) / 1e9 == pytest.approx(100, abs=1)
    assert receiver.resources[0]["service.name"] == "digits"
    assert receiver.resources[0]["service.instance.id"] == "digits-1/0"


def test_what_the_environment_says_of_the_service_wins(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=production")
    _trace(seen())
    assert receiver.resources[0]["service.name"] == "shop"
    assert receiver.resources[0]["deployment.environment.name"] == "production"


def test_grpc_has_the_attributes_of_a_remote_procedure_call(receiver: Collector) -> None:
    request = seen(code="UNAVAILABLE", protocol="grpc")
    request.path = "/inference.GRPCInferenceService/ModelInfer"
    _trace(request)
    (span,) = receiver.spans
    assert span.name == "inference.GRPCInferenceService/ModelInfer"
    assert span.status.code == ERROR
    told = attributes(span)
    assert told["rpc.system.name"] == "grpc"
    assert told["rpc.response.status_code"] == told["error.type"] == "UNAVAILABLE"
    assert not any(name.startswith(("http.", "url.")) for name in told)


def test_a_callers_trace_is_followed_when_it_is_sampled_and_obeyed_when_not(receiver: Collector) -> None:
    _trace(seen(headers=SAMPLED), seen(headers=UNSAMPLED), sample=1.0)
    (root,) = [span for span in receiver.spans if span.kind == SERVER]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (ID, PARENT)
    _trace(seen(headers=SAMPLED), sample=1e-9)
    assert sum(span.kind == SERVER for span in receiver.spans) == 2


def test_requests_of_one_batch_point_to_each_other(receiver: Collector) -> None:
    _trace(seen(id_="a"), seen(id_="b"), seen(id_="c", began=100.003))
    roots = {attributes(span)["shipway.request.id"]: span for span in receiver.spans if span.kind == SERVER}
    batches = {span.parent_span_id: span for span in receiver.spans if span.name == "batch"}
    links = {name: [link.span_id for link in batches[root.span_id].links] for name, root in roots.items()}
    assert links == {"a": [roots["b"].span_id], "b": [roots["a"].span_id], "c": []}


def test_spans_of_a_batch_are_sent_without_waiting_for_the_end(receiver: Collector) -> None:
    async def run() -> None:
        tracer = make_tracer(1.0, "digits", "x")
        tracer.take(seen())
        while tracer._batches:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(tracer._provider.shutdown)

    asyncio.run(asyncio.wait_for(run(), 20))
    assert len(receiver.spans) == 4


def test_the_callers_fault_is_no_error_of_ours(receiver: Collector) -> None:
    bad = seen(code=400)
    failed = seen(code=500)
    unknown = Observed("http", "POST", "/v2/models/any/thing", {}, 100.0, code=404, ended=100.1)
    _trace(bad, failed, unknown)
    codes = {attributes(span)["http.response.status_code"]: span for span in receiver.spans if span.kind == SERVER}
    assert [codes[code].status.code for code in (400, 404, 500)] == [0, 0, ERROR]
    assert attributes(codes[500])["error.type"] == "500"
    assert codes[404].name == "POST"  # paths that callers make up are no names
    assert "http.route" not in attributes(codes[404])


def test_a_share_is_sampled() -> None:
    class Provider:
        def get_tracer(self, *_: object) -> None: ...

    chances = iter([0.05, 0.15, 0.1])
    tracer = Tracer(Provider(), 0.1, lambda: next(chances))
    taken: list[Observed] = []
    for one in (seen(), seen(), seen()):
        try:
            tracer.take(one)
        except AttributeError:  # it wants a span now
            taken.append(one)
    assert len(taken) == 1


def test_a_collector_that_refuses_hurts_nobody(receiver: Collector) -> None:
    receiver.status = 400

    async def run() -> None:
        tracer = make_tracer(1.0, "digits", "x")
        for number in range(1000):  # more spans than the processor keeps
            tracer.take(seen(began=100.002 + number / 1e6))
        await asyncio.to_thread(receiver.arrived.wait, 20)
        await asyncio.to_thread(tracer._provider.shutdown)

    asyncio.run(run())
    assert receiver.arrived.is_set()
