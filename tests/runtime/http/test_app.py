"""Requests and answers, with a played model behind."""

from __future__ import annotations

import asyncio
import gzip
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.settings import Server, Settings
from tests.runtime.http.face import Face, face, raw

INFER = "/v2/models/sums/infer"
BODY = {"id": "a b", "inputs": [{"name": "x", "datatype": "FP64", "shape": [2, 2], "data": [1, 2, 3, 4]}]}
ANSWER = {
    "model_name": "sums",
    "model_version": "3",
    "id": "a b",
    "outputs": [{"name": "sum", "datatype": "FP64", "shape": [2], "data": [3.0, 7.0]}],
}
KEYED = Settings(model="sums", version="3", admin_key="s3cret")


def run(steps: Callable[[Face], Awaitable[None]], **how: Any) -> None:
    async def all_of_it() -> None:
        await steps(await face(**how))

    asyncio.run(all_of_it())


def test_every_inference_route() -> None:
    async def steps(sums: Face) -> None:
        for path in (INFER, "/v2/models/sums/versions/3/infer"):
            assert (await sums.ask("POST", path, BODY)).json() == ANSWER
        plain = await sums.ask("POST", "/predict", {"input": [[1, 2]]})
        assert plain.json() == {"output": [3.0]}
        for path in ("/v1/models/sums:predict", "/v1/models/sums/versions/3:predict"):
            assert (await sums.ask("POST", path, {"instances": [[1, 2]]})).json() == {"predictions": [3.0]}
        assert (await sums.ask("POST", "/v1/models/sums:predict", {"inputs": [[1, 2]]})).json() == {"outputs": [3.0]}
        assert sums.in_flight == 0

    run(steps)


def test_binary_tensors_in_and_out() -> None:
    async def steps(sums: Face) -> None:
        head = (
            b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1,2],"parameters":{"binary_data_size":16}}],'
            b'"parameters":{"binary_data_output":true}}'
        )
        length = {"inference-header-content-length": str(len(head))}
        got = await sums.ask("POST", INFER, head + struct.pack("<2d", 1, 2), length)
        assert got.header("content-type") == "application/octet-stream"
        json_length = int(got.header("inference-header-content-length") or "")
        assert got.answer[json_length:] == struct.pack("<d", 3)
        raw = await sums.ask("POST", INFER, struct.pack("<2d", 1, 2), {"inference-header-content-length": "0"})
        assert raw.answer.endswith(struct.pack("<d", 3))
        for value in ("-1", "x", "9" * 20, "1e3", "\u0663"):
            wrong = await sums.ask("POST", INFER, b"{}", {"inference-header-content-length": value})
            assert (wrong.status, list(wrong.json())) == (400, ["error"]), value
        elsewhere = await sums.ask("POST", "/predict", b"{}", {"inference-header-content-length": "2"})
        assert (elsewhere.status, "/infer" in elsewhere.json()["error"]) == (400, True)

    run(steps)


def test_what_is_told_of_server_and_model() -> None:
    async def steps(sums: Face) -> None:
        server = (await sums.ask("GET", "/v2")).json()
        assert "binary_tensor_data" in server["extensions"]
        assert (await sums.ask("GET", "/v2/")).json() == server
        assert (await sums.ask("GET", "/v2/health/live")).json() == {"live": True}
        ready = await sums.ask("GET", "/v2/health/ready")
        assert (ready.status, ready.json()["ready"]) == (200, True)
        model = (await sums.ask("GET", "/v2/models/sums/versions/3")).json()
        assert (model["versions"], model["platform"]) == (["3"], "played")
        status = (await sums.ask("GET", "/v1/models/sums")).json()
        assert (status["ready"], status["model_version_status"][0]["state"]) == (True, "AVAILABLE")
        load = (await sums.ask("GET", "/shipway/state")).json()
        assert (load["phase"], load["inFlight"], load["models"][0]["queuedRows"]) == ("ready", 0, 0)
        assert (await sums.ask("GET", "/shipway/openapi.json")).json()["openapi"] == "3.1.0"
        assert b"shipway_ready" in (await sums.ask("GET", "/metrics")).answer
        for path in ("/v2/models/cats", "/v2/models/sums/versions/9/ready", "/v1/models/cats", "/v2/models/sums/x"):
            assert (await sums.ask("GET", path)).status == 404

    run(steps)


def test_readiness_falls_with_the_end_and_requests_are_answered_all_the_same() -> None:
    async def steps(sums: Face) -> None:
        sums.state.drain()
        sums.shared.leaving = True
        for path in ("/v2/health/ready", "/v2/models/sums/ready"):
            not_ready = await sums.ask("GET", path)
            assert (not_ready.status, not_ready.json()["error"]) == (503, "this replica is shutting down")
        last = await sums.ask("POST", INFER, BODY)
        assert (last.status, last.header("connection")) == (200, "close")

    run(steps)


@pytest.mark.parametrize(
    "coding, packed",
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
    ],
)
def test_compressed_bodies(coding: str, packed: Callable[[bytes], bytes]) -> None:
    async def steps(sums: Face) -> None:
        got = await sums.ask("POST", "/predict", packed(b'{"input": [[1, 2]]}'), {"content-encoding": coding})
        assert got.json() == {"output": [3.0]}

    run(steps)


def test_bodies_that_are_refused() -> None:
    small = Settings(model="sums", version="3", server=Server(max_body=1024))

    async def steps(sums: Face) -> None:
        bomb = gzip.compress(b" " * 10_000_000)
        torn = gzip.compress(b'{"input": [[1, 2]]}')[:-9]
        refused: list[tuple[Any, dict[str, str], int, str]] = [
            (b" " * 1025, {}, 413, "larger than 1024"),
            ([b" " * 600, b" " * 600], {}, 413, "larger than 1024"),
            (b"", {"content-length": "9" * 18}, 413, "larger than 1024"),
            (bomb[:1000], {"content-encoding": "gzip"}, 413, "larger than 1024"),
            (torn, {"content-encoding": "gzip"}, 400, "breaks off"),
            (zlib.compress(b"x")[:-2], {"content-encoding": "deflate"}, 400, "not deflate"),
            (b"x", {"content-encoding": "gzip"}, 400, "not gzip"),
            (b"", {"content-encoding": "gzip"}, 400, "breaks off"),
            (b"x", {"content-encoding": "br"}, 415, "'br' is not supported"),
            (b"x", {"content-encoding": "gzip, gzip"}, 415, "not supported"),
        ]
        for body, headers, status, words in refused:
            got = await sums.ask("POST", "/predict", body, headers)
            assert (got.status, words in got.json()["error"]) == (status, True), got.answer
        assert (await sums.ask("POST", "/predict", [b'{"input":', b" [[1, 2]]}"])).json() == {"output": [3.0]}
        assert sums.in_flight == 0

    run(steps, settings=small)


def test_a_client_that_goes_away_takes_its_work_back() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        client = sums.connect()
        client.connection.data_received(raw("POST", INFER, json.dumps(BODY).encode(), {}))
        await asyncio.sleep(0.01)
        assert sums.in_flight == 1
        client.close()
        await asyncio.sleep(0.01)
        assert (client.sent, sums.in_flight) == (b"", 0)
        assert sums.repository.served()[0].load().pending == 0
        assert 'version="3",protocol="http",code="499"} 1' in sums.metrics.render(ready=True)
        torn = sums.connect()
        torn.connection.data_received(raw("POST", INFER, b"{}", {"content-length": "3"}))
        torn.close()
        await asyncio.sleep(0)
        assert 'version="3",protocol="http",code="499"} 2' in sums.metrics.render(ready=True)

    run(steps)


def test_deadlines() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        for headers in ({"x-request-timeout": "20ms"}, {"x-envoy-expected-rq-timeout-ms": "20"}):
            assert (await sums.ask("POST", INFER, BODY, headers)).status == 504
        assert (await sums.ask("POST", INFER, BODY, {"x-request-timeout": "soon"})).status == 400
        sums.executor.go.set()
        assert (await sums.ask("POST", INFER, BODY, {"x-request-timeout": "20"})).status == 200

    run(steps)


def test_what_fails_in_the_model_is_told_in_the_protocols_words() -> None:
    async def steps(sums: Face) -> None:
        for problem, status in (
            (BadInput("too sour"), 400),
            (Refused(Reason.FAILED, "it broke"), 500),
            (Refused(Reason.UNAVAILABLE, "the worker died", retry_after=0.2), 503),
        ):
            sums.executor.problem = problem
            got = await sums.ask("POST", INFER, BODY)
            assert (got.status, got.json()) == (status, {"error": str(problem)})
            assert got.header("retry-after") == ("1" if status == 503 else None)

    run(steps)


def test_the_callers_name_for_a_request_comes_back() -> None:
    async def steps(sums: Face) -> None:
        got = await sums.ask("POST", "/predict", {"input": [[1, 2]]}, {"x-request-id": "r-1"})
        assert got.header("x-request-id") == "r-1"
        assert (await sums.ask("POST", "/predict", {"input": [[1, 2]]})).header("x-request-id") is None

    run(steps)


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 403),
        ({"authorization": "Bearer wrong"}, 403),
        ({"authorization": "Basic s3cret"}, 403),
        ({"authorization": "s3cret"}, 403),
        ({"x-shipway-admin-key": "s3cr\u00e9t"}, 403),
        ({"x-shipway-admin-key": ""}, 403),
        ({"authorization": "Bearer s3cret"}, 200),
        ({"authorization": "bearer s3cret"}, 200),
        ({"x-shipway-admin-key": "s3cret"}, 200),
    ],
)
def test_the_repository_is_for_whoever_has_the_key(headers: dict[str, str], status: int) -> None:
    async def steps(sums: Face) -> None:
        for path in ("/v2/repository/index", "/v2/repository/models/sums/load", "/v2/repository/models/sums/unload"):
            assert (await sums.ask("POST", path, b"", headers)).status == status

    run(steps, settings=KEYED)


def test_without_a_key_nobody_gets_in() -> None:
    async def steps(sums: Face) -> None:
        for headers in ({}, {"x-shipway-admin-key": ""}, {"authorization": "Bearer "}):
            got = await sums.ask("POST", "/v2/repository/index", b"", headers)
            assert (got.status, "SHIPWAY_ADMIN_KEY" in got.json()["error"]) == (403, True)

    run(steps)


def test_loading_and_unloading() -> None:
    async def steps(sums: Face) -> None:
        async def post(path: str, body: Any = b"") -> Any:
            return await sums.ask("POST", f"/v2/repository/{path}", body, {"x-shipway-admin-key": "s3cret"})

        assert (await post("index")).json() == [{"name": "sums", "version": "3", "state": "READY", "reason": ""}]
        assert (await post("models/sums/unload", {"parameters": {"unload_dependents": True}})).status == 200
        assert (await post("index", {"ready": True})).json() == []
        assert (await sums.ask("POST", INFER, BODY)).status == 503
        assert (await sums.ask("GET", "/v2/models/sums")).status == 503
        assert (await sums.ask("GET", "/v2/models/sums/ready")).status == 503
        assert (await post("models/sums/load", {"parameters": {"version": "3"}})).status == 200
        assert (await sums.ask("POST", INFER, BODY)).status == 200
        assert (await post("models/cats/load")).status == 404
        bad: list[Any] = [
            {"parameters": {"config": "{}"}},
            {"parameters": {"file:1/model.onnx": "AAAA"}},
            {"parameters": {"version": 3}},
            {"parameters": {"more": 1}},
            {"parameters": []},
            b"{",
        ]
        for body in bad:
            assert (await post("models/sums/load", body)).status == 400, body

    run(steps, settings=KEYED)


def test_a_stream_comes_event_by_event() -> None:
    async def steps(sums: Face) -> None:
        rows = {"input": [[1, 2], [3, 4]]}
        got = await sums.ask("POST", "/predict", rows, {"accept": "text/event-stream", "x-request-id": "r"})
        assert (got.status, got.header("content-type"), got.header("x-request-id")) == (200, "text/event-stream", "r")
        assert got.answer == b'data: {"output":[3.0]}\n\ndata: {"output":[7.0]}\n\nevent: end\ndata: {}\n\n'
        oip = await sums.ask("POST", "/v2/models/sums/infer_stream", BODY)
        assert oip.answer.count(b'data: {"model_name":"sums"') == 2
        for path in (INFER, "/v1/models/sums:predict", "/predict"):
            body = BODY if path == INFER else {"instances": [[1, 2]]}
            unary = await sums.ask("POST", path, body)
            assert (unary.status, "infer_stream" in unary.json()["error"]) == (400, True), path
        assert (sums.executor.closed_streams, sums.in_flight) == (2, 0)

    run(steps, streams=True)


def test_a_model_that_does_not_stream_gives_one_event() -> None:
    async def steps(sums: Face) -> None:
        got = await sums.ask("POST", "/v2/models/sums/infer_stream", BODY)
        assert got.answer.count(b"data: ") == 2
        assert got.answer.endswith(b"event: end\ndata: {}\n\n")

    run(steps)


def test_errors_of_a_stream_before_and_after_its_head() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.problem = Refused(Reason.FAILED, "it broke")
        at_once = await sums.ask("POST", "/v2/models/sums/infer_stream", _rows([[-1, 0]]))
        assert (at_once.status, at_once.json()) == (500, {"error": "it broke"})
        later = await sums.ask("POST", "/v2/models/sums/infer_stream", _rows([[1, 2], [-1, 0]]))
        assert later.status == 200
        assert later.answer.endswith(b'data: {"error":"it broke"}\n\n')
        assert 'protocol="http",code="500"} 2' in sums.metrics.render(ready=True)
        assert sums.in_flight == 0

    run(steps, streams=True)


def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipway.runtime.server.http.events._BEAT", 0.01)

    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        client = sums.connect()
        client.connection.data_received(raw("POST", "/v2/models/sums/infer_stream", json.dumps(BODY).encode(), {}))
        while client.sent.count(b":\n\n") < 2:
            await asyncio.sleep(0.005)
        assert b"data: " not in client.sent
        sums.executor.go.set()
        while not client.sent.endswith(b"0\r\n\r\n"):
            await asyncio.sleep(0.005)
        assert client.sent.count(b"data: {") == 3

    run(steps, streams=True)


def test_a_deadline_ends_a_stream() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        got = await sums.ask("POST", "/v2/models/sums/infer_stream", BODY, {"x-request-timeout": "0.02"})
        assert got.status == 504
        assert sums.in_flight == 0

    run(steps, streams=True)


def _rows(rows: list[list[float]]) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [len(rows), 2], "data": rows}]}
