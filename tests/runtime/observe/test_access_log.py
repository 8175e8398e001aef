"""One line of JSON a request, and what happens when nobody reads them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable

from shipway.runtime.server.observe import access_log
from shipway.runtime.server.observe.access_log import AccessLog
from shipway.runtime.server.observe.exposition import Page
from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.observe.request import Observed
from tests.runtime.observe.seen import seen

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def _written(*requests: Observed) -> list[bytes]:
    chunks: list[bytes] = []

    async def run() -> None:
        log = AccessLog(chunks.append, wall=lambda: 1_700_000_000.010)
        for one in requests:
            log.take(one)
        log.close()

    asyncio.run(run())
    return chunks


def _dropped(log: AccessLog) -> int:
    page = Page()
    log.render(page)
    return int(page.text().split()[-1])


def test_a_line_says_what_a_request_was() -> None:
    (chunk,) = _written(seen(id_="a", headers={"traceparent": TRACE, "authorization": "secret"}))
    assert b"secret" not in chunk
    assert json.loads(chunk) == {
        "time": "2023-11-14T22:13:20Z",
        "protocol": "http",
        "method": "POST",
        "path": "/v2/models/digits/infer",
        "model": "digits",
        "version": "1",
        "status": 200,
        "ms": 10.0,
        "rows": 2,
        "bytes_in": 11,
        "bytes_out": 22,
        "id": "a",
        "queue_ms": 1.0,
        "compute_ms": 5.0,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_a_request_that_nobody_could_serve_has_a_line_too() -> None:
    lost = Observed("http", "POST", "/v2/models/x/infer", {"x-request-id": "head"}, 100.0, code=404, ended=100.001)
    line = json.loads(_written(lost)[0])
    assert (line["model"], line["status"], line["id"], line["rows"], line["queue_ms"]) == (
        None,
        404,
        "head",
        None,
        None,
    )


def test_what_the_caller_makes_long_is_cut_and_control_characters_are_escaped() -> None:
    long = Observed("http", "POST", "/" + "p" * 9999, {"x-request-id": "i\n" * 9999}, 100.0, code=404, ended=100.001)
    (chunk,) = _written(long)
    assert chunk.count(b"\n") == 1
    assert len(chunk) < 4096


def test_lines_are_written_whole_in_pieces_that_a_pipe_takes_at_once() -> None:
    chunks = _written(*(seen(id_=str(number)) for number in range(100)))
    assert max(map(len, chunks)) <= 4096
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert [json.loads(line)["id"] for chunk in chunks for line in chunk.splitlines()] == [str(n) for n in range(100)]


def test_a_reader_that_does_not_read_costs_lines_and_no_request() -> None:
    reads = threading.Event()
    chunks: list[bytes] = []
    size = len(_written(seen())[0])

    def write(data: bytes) -> None:
        assert reads.wait(20)
        chunks.append(data)

    async def run() -> None:
        log = AccessLog(write, buffer=100 * size)
        for _ in range(250):
            log.take(seen())
        dropped = _dropped(log)
        assert 140 < dropped < 160  # lines differ by some bytes
        await asyncio.sleep(2 * access_log._DELAY)  # the thread has what fits, and is stuck
        log.take(seen())
        assert _dropped(log) >= dropped
        reads.set()
        log.close()
        assert sum(chunk.count(b"\n") for chunk in chunks) + _dropped(log) == 251

    asyncio.run(run())


def test_a_stdout_that_is_closed_is_counted() -> None:
    def write(data: bytes) -> None:
        raise BrokenPipeError

    async def run() -> None:
        log = AccessLog(write)
        log.take(seen())
        log.close()
        assert _dropped(log) == 1

    asyncio.run(run())


def test_lines_come_without_a_further_request() -> None:
    written = threading.Event()
    write: Callable[[bytes], None] = lambda data: written.set()  # noqa: E731

    async def run() -> None:
        log = AccessLog(write)
        log.take(seen())
        assert await asyncio.to_thread(written.wait, 20)
        log.close()

    asyncio.run(run())


def test_the_observer_fills_in_what_only_the_end_knows() -> None:
    chunks: list[bytes] = []

    async def run() -> None:
        metrics = Metrics()
        observer = Observer(metrics, (AccessLog(chunks.append),))
        request = observer.begin("http", "POST", "/predict", {}, 0.0)
        request.of(metrics.of("digits", "1"))
        assert metrics.of("digits", "1").in_flight == 1
        observer.finish(request, 400, 33)
        assert metrics.of("digits", "1").in_flight == 0
        observer.close()

    asyncio.run(run())
    line = json.loads(chunks[0])
    assert (line["status"], line["bytes_out"], line["rows"]) == (400, 33, None)
    assert line["ms"] >= 0
