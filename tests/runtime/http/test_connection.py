"""One connection: what comes in pieces, too much, too late, out of turn, or is no HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.runtime.server.http import connection
from shipway.runtime.server.settings import Server, Settings
from tests.runtime.http.face import Answered, Face, Reader, Transport, face, raw

ROWS = b'{"input": [[1, 2]]}'
ASK = raw("POST", "/predict", ROWS, {})
LIVE = raw("GET", "/v2/health/live", b"", {})


def run(steps: Callable[[Face], Awaitable[None]], **how: Any) -> None:
    async def all_of_it() -> None:
        await steps(await face(**how))

    asyncio.run(all_of_it())


def answers(client: Transport, *asked: str) -> list[Answered]:
    """All that was sent, to requests of these methods."""
    reader, found, data = Reader(), list[Answered](), client.sent
    for method in asked:
        reader.asks(method, "/")
        answered = reader.read(data)
        assert answered is not None, client.sent
        found.append(answered)
        data = b""
    return found


async def _said(client: Transport) -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 700), max_size=12))
def test_it_does_not_matter_how_the_bytes_come(cuts: list[int]) -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        chunked = raw("POST", "/predict", [b'{"input"', b": [[3, 4]]}"], {"x-request-id": "b"})
        data = ASK + chunked + LIVE + raw("HEAD", "/v2", b"", {}) + ASK
        places = sorted({min(one, len(data)) for one in cuts})
        for start, end in zip([0, *places], [*places, len(data)], strict=True):
            client.connection.data_received(data[start:end])
            await asyncio.sleep(0)
        while client.sent.count(b"HTTP/1.1 ") < 5:
            await asyncio.sleep(0.001)
        first, second, live, head, last = answers(client, "POST", "POST", "GET", "HEAD", "POST")
        assert (first.json(), second.json()) == ({"output": [3.0]}, {"output": [7.0]})
        assert (second.header("x-request-id"), first.header("x-request-id")) == ("b", None)
        assert (live.json(), head.status, head.answer) == ({"live": True}, 200, b"")
        assert last.json() == first.json() and not client.closed.is_set() and client.reads

    run(steps)


MESSAGES = {
    "ask": ASK,
    "other row": ASK.replace(b"[1, 2]", b"[1, 9]"),
    "with an id": raw("POST", "/predict", ROWS, {"x-request-id": "a"}),
    "in chunks": raw("POST", "/predict", [ROWS[:5], ROWS[5:]], {}),
    "live": LIVE,
    "head only": raw("HEAD", "/v2", b"", {}),
    "no such path": raw("POST", "/elsewhere", ROWS, {}),
    "bad": ASK.replace(b"[[", b"[}"),
    "waits": raw("POST", "/predict", ROWS, {"expect": "100-continue"}),
}


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.tuples(st.sampled_from([*MESSAGES]), st.integers(0, 1), st.booleans()), max_size=30))
def test_a_head_that_is_known_makes_no_difference(order: list[tuple[str, int, bool]]) -> None:
    """Whole requests on two connections, some right behind the one before; the same with heads that are never known."""

    async def said(sums: Face) -> list[bytes]:
        clients = [sums.connect(), sums.connect()]
        for name, which, at_once in order:
            clients[which].connection.data_received(MESSAGES[name])
            while not at_once and any(client.connection.answering for client in clients):
                await asyncio.sleep(0)
        while any(client.connection.answering or not client.reads for client in clients):
            await asyncio.sleep(0)
        await _said(clients[0])
        return [client.sent.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"") for client in clients]

    async def both() -> tuple[list[bytes], list[bytes]]:
        forgetful = await face()
        forgetful.shared.heads.learn = lambda data, request: None  # type: ignore[method-assign]
        return await said(await face()), await said(forgetful)

    knowing, forgetful = asyncio.run(both())
    assert knowing == forgetful and sum(one.count(b"HTTP/1.1 ") for one in knowing) == len(order)


def test_a_body_that_looks_like_a_request_is_a_body() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(ASK)  # from here on its head is known
        await sums.ask("GET", "/v2")
        other = sums.connect()
        other.connection.data_received(raw("POST", "/predict", ASK, {})[: -len(ASK)])
        other.connection.data_received(ASK)
        await _said(other)
        assert other.sent.startswith(b"HTTP/1.1 400 ") and other.sent.count(b"HTTP/1.1 4") == 1
        assert b"[3.0]" not in other.sent
        last = sums.connect()
        last.connection.data_received(raw("POST", "/predict", ROWS, {"connection": "close"}))
        last.connection.data_received(ASK)
        await last.closed.wait()
        assert last.sent.count(b"HTTP/1.1 ") == 1

    run(steps)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), at=st.integers(0, len(ASK)))
def test_noise_is_refused_or_waited_for_and_never_an_error_of_ours(data: bytes, at: int) -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(ASK[:at] + data)
        await _said(client)
        status = client.sent[9:12]
        assert status in (b"", b"200", b"400", b"404", b"405", b"413", b"431"), client.sent
        client.close()
        await asyncio.sleep(0)
        assert (sums.in_flight, sums.shared.living) == (0, set())

    run(steps)


@pytest.mark.parametrize(
    "data, status, words",
    [
        (b"nonsense\r\n\r\n", 400, "this is not HTTP/1.1"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "this is not HTTP/1.1"),
        (b"GET /v2 HTTP/1.1\r\nhost: x\r\na: " + b"x" * 200_000, 431, "65536"),
        (b"GET /" + b"x" * 200_000, 431, "65536"),
        (raw("POST", "/predict", b"", {"content-length": "2000"}), 413, "1024"),
        (raw("POST", "/predict", [b" " * 700, b" " * 700], {}), 413, "1024"),
        (raw("POST", "/predict", ROWS, {"content-length": "1"}) + b"\n\n{", 400, "this is not HTTP/1.1"),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", 400, "not HTTP/1.1"),
        (b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400, "not HTTP/1.1"),
        (b"POST /predict HTTP/1.1\r\nhost : x\r\n\r\n", 400, "not HTTP/1.1"),
        (b"GET /v2 HTTP/1.1\r\nx: a\r\n b\r\n\r\n", 400, "not HTTP/1.1"),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: x\r\n\r\n", 400, "elsewhere:443"),
        (LIVE + b"nonsense\r\n\r\n", 200, "live"),
    ],
    ids=range(13),
)
def test_what_cannot_be_read_is_refused_and_its_connection_ends(data: bytes, status: int, words: str) -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        for at in range(0, len(data), 20_000):
            client.connection.data_received(data[at : at + 20_000])
        await _said(client)
        *_, last = client.sent.partition(b"HTTP/1.1 %d" % status)
        assert words in last.decode(), client.sent
        assert b"connection: close" in last
        sent = client.sent
        client.connection.data_received(ASK)
        assert client.sent == sent, "nothing more is understood"
        client.connection.look(monotonic() + 3)
        assert client.closed.is_set()

    run(steps, settings=Settings(model="sums", version="3", server=Server(max_body=1024)))


def test_what_is_asked_out_of_turn_waits() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        client = sums.connect()
        client.connection.data_received(ASK + LIVE)
        client.connection.data_received(LIVE)
        await _said(client)
        assert (client.sent, client.reads) == (b"", False), "who does not wait for answers is not read further"
        sums.executor.go.set()
        while client.sent.count(b"HTTP/1.1") < 3:
            await asyncio.sleep(0.001)
        assert [one.status for one in answers(client, "POST", "GET", "GET")] == [200] * 3
        assert client.reads

    run(steps)


def test_a_thousand_requests_at_once_are_answered_in_order() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(
            b"".join(raw("POST", "/predict", ROWS, {"x-request-id": str(n)}) for n in range(1000))
        )
        while client.sent.count(b"HTTP/1.1") < 1000:
            await asyncio.sleep(0.001)
        found = answers(client, *["POST"] * 1000)
        assert [one.header("x-request-id") for one in found] == [str(number) for number in range(1000)]

    run(steps)


def test_who_does_not_read_is_not_read_and_goes_in_the_end() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.held = True
        client.connection.data_received(LIVE)
        await _said(client)
        assert client.sent and not client.reads
        now = monotonic()
        client.connection.look(now)
        client.connection.look(now + connection.STALLED - 1)
        assert not client.closed.is_set()
        client.connection.look(now + connection.STALLED + 1)
        assert client.closed.is_set()

    run(steps)


def test_who_goes_before_its_task_has_begun_holds_nothing() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(ASK)
        client.connection.connection_lost(ConnectionResetError())
        await asyncio.sleep(0.01)
        assert (sums.in_flight, sums.repository.served()[0].held) == (0, False)

    run(steps)


def test_idle_connections_late_heads_and_late_bodies_end() -> None:
    async def steps(sums: Face) -> None:
        for begun, takes, status in (
            (b"", connection.HEAD_TAKES, b""),
            (b"POST /pre", connection.HEAD_TAKES, b""),
            (ASK[:-3], connection.BODY_TAKES, b"408"),
        ):
            client = sums.connect()
            client.connection.data_received(begun)
            now = monotonic()
            client.connection.look(now + takes - 5)
            assert (client.closed.is_set(), client.sent) == (False, b"")
            client.connection.look(now + takes + 1)
            assert client.sent[9:12] == status
            client.connection.look(now + takes + 2 + connection.LAST_BYTES)
            assert client.closed.is_set()

    run(steps)


def test_the_end_of_the_server_waits_for_answers_and_not_for_the_idle() -> None:
    async def steps(sums: Face) -> None:
        sums.executor.go.clear()
        idle, busy, coming = sums.connect(), sums.connect(), sums.connect()
        busy.connection.data_received(ASK)
        coming.connection.data_received(ASK[:-3])
        sums.shared.leaving = True
        for one in (idle, busy, coming):
            one.connection.leave()
        assert (idle.closed.is_set(), busy.closed.is_set(), coming.closed.is_set()) == (True, False, False)
        coming.connection.data_received(ASK[-3:])
        sums.executor.go.set()
        await asyncio.gather(busy.closed.wait(), coming.closed.wait())
        assert b"connection: close" in busy.sent and b"connection: close" in coming.sent

    run(steps)


def test_old_clients_and_those_that_want_another_protocol() -> None:
    async def steps(sums: Face) -> None:
        old = sums.connect()
        old.connection.data_received(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        await old.closed.wait()
        assert old.sent.endswith(b'{"live":true}') and b"connection: close" in old.sent
        upgrade = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "AAM"}
        for body in (ROWS, [ROWS[:7], ROWS[7:]]):
            data = raw("POST", "/predict", body, upgrade) + LIVE
            for at in (1, 30, len(data) - len(LIVE) - 5, len(data)):
                other = sums.connect()
                other.connection.data_received(data[:at])
                other.connection.data_received(data[at:])
                while other.sent.count(b"HTTP/1.1") < 2:
                    await asyncio.sleep(0.001)
                asked, live = answers(other, "POST", "GET")
                assert (asked.json(), live.json()) == ({"output": [3.0]}, {"live": True})

    run(steps)


def test_a_stream_for_a_client_without_chunks_ends_with_its_connection() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        head = f"POST /predict HTTP/1.0\r\naccept: text/event-stream\r\ncontent-length: {len(ROWS)}\r\n\r\n"
        client.connection.data_received(head.encode() + ROWS)
        await client.closed.wait()
        assert b"transfer-encoding" not in client.sent
        assert client.sent.endswith(b'data: {"output":[3.0]}\n\nevent: end\ndata: {}\n\n')

    run(steps, streams=True)


def test_a_server_that_is_full_says_so() -> None:
    async def steps(sums: Face) -> None:
        sums.shared.room = 1
        first, second = sums.connect(), sums.connect()
        assert second.sent.startswith(b"HTTP/1.1 503 ")
        assert "1 connections" in json.loads(second.sent.partition(b"\r\n\r\n")[2])["error"]
        first.connection.data_received(LIVE)
        await _said(first)
        assert first.sent.startswith(b"HTTP/1.1 200 ")

    run(steps)


UPGRADE = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "AAM"}


def test_answers_that_were_put_off_and_find_no_room_hold_back_the_next() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.held = True
        elsewhere = raw("GET", "/elsewhere", b"", {})
        client.connection.data_received(LIVE + elsewhere + elsewhere)
        await _said(client)
        assert (client.sent.count(b"HTTP/1.1 "), client.reads) == (1, False)
        client.held = False
        client.connection.resume_writing()
        await _said(client)
        assert [one.status for one in answers(client, "GET", "GET", "GET")] == [200, 404, 404]
        assert client.reads

    run(steps)


def test_no_request_to_go_on_overtakes_an_answer() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.held = True
        elsewhere = raw("GET", "/elsewhere", b"", {})
        asks = raw("POST", "/predict", ROWS, {"expect": "100-continue"})
        client.connection.data_received(elsewhere * 17 + asks[: -len(ROWS)])  # sixteen answers go at once
        await _said(client)
        assert b"100 Continue" not in client.sent

    run(steps)


@pytest.mark.parametrize("line", [b"0\r\nlong: ", b"5;extension="], ids=["trailer", "extension"])
def test_lines_without_an_end_behind_a_head_fill_no_memory(line: bytes) -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + line)
        for _ in range(8):
            client.connection.data_received(b"x" * 10_000)
        assert client.sent.startswith(b"HTTP/1.1 431 ")

    run(steps)


def test_a_long_head_may_come_in_pieces() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        data = raw("POST", "/predict", ROWS, {f"x-{n}": "y" * 1990 for n in range(30)})
        for at in range(0, len(data), 1000):
            client.connection.data_received(data[at : at + 1000])
        while not client.sent:
            await asyncio.sleep(0.001)
        assert answers(client, "POST")[0].status == 200

    run(steps)


def test_trailers_are_no_headers() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        data = raw("POST", "/predict", [ROWS], {}).removesuffix(b"\r\n") + b"content-encoding: gzip\r\n\r\n"
        client.connection.data_received(data)
        while not client.sent:
            await asyncio.sleep(0.001)
        assert answers(client, "POST")[0].json() == {"output": [3.0]}

    run(steps)


def test_who_asks_for_another_protocol_a_thousand_times_is_answered() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(raw("GET", "/elsewhere", b"", UPGRADE) * 1500)
        await _said(client)
        assert client.sent.count(b"HTTP/1.1 404 ") == 1500 and not client.closed.is_set()

    run(steps)


def test_a_body_whose_end_nobody_knows_is_refused_whatever_protocol_is_asked_for() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        data = raw("POST", "/predict", [ROWS], UPGRADE).replace(b"chunked", b"gzip")
        client.connection.data_received(data)
        await _said(client)
        assert client.sent.startswith(b"HTTP/1.1 400 ") and client.sent.count(b"HTTP/1.1 ") == 1
        assert sums.in_flight == 0

    run(steps)


def test_who_asks_for_another_protocol_has_as_long_for_the_body() -> None:
    async def steps(sums: Face) -> None:
        client = sums.connect()
        client.connection.data_received(raw("POST", "/predict", ROWS, UPGRADE)[:-3])
        now = monotonic()
        client.connection.look(now + connection.BODY_TAKES - 5)
        assert not client.sent
        client.connection.look(now + connection.BODY_TAKES + 1)
        assert client.sent.startswith(b"HTTP/1.1 408 ")

    run(steps)


def test_nothing_is_said_or_counted_behind_the_last_answer() -> None:
    async def steps(sums: Face) -> None:
        sums.shared.leaving = True
        client = sums.connect()
        asks = raw("POST", "/predict", ROWS, {"expect": "100-continue"})
        client.connection.data_received(raw("GET", "/elsewhere", b"", {}) + asks)
        await _said(client)
        assert client.sent.count(b"HTTP/1.1 ") == 1 and client.closed.is_set()
        assert 'code="499"' not in sums.metrics.render(ready=True)

    run(steps)
