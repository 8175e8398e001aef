"""Which request goes where, and what the gateway answers itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.traffic import RoutingTable, Upstream, VirtualRoute
from tests.envoy.stage import envoy, read_message, table

pytestmark = pytest.mark.slow


def test_by_path_and_by_host() -> None:
    async def run() -> None:
        async with envoy() as one:
            backend = await one.backend("a")
            assert (await one.gateway.apply(table(a=backend))).live
            client = one.client()
            for path, seen in (
                ("/digits", "/"),
                ("/digits/", "/"),
                ("/digits?x=1", "/?x=1"),
                ("/digits/v2/models/digits/infer?a=b%20c", "/v2/models/digits/infer?a=b%20c"),
                ("/digits/digits/", "/digits/"),
                ("/other/../digits/x", "/x"),
            ):
                answer = (await client.ask(path, x_forwarded_prefix="/liar")).json()
                assert answer["path"] == seen
                assert answer["headers"]["x-forwarded-prefix"] == "/digits"
            for host in ("digits.localhost", f"digits.localhost:{one.port}", "DIGITS.localhost"):
                answer = (await client.ask("/predict", host=host, x_forwarded_prefix="/liar")).json()
                assert (answer["path"], answer["headers"].get("x-forwarded-prefix")) == ("/predict", None)
                assert answer["headers"]["host"] == host

    asyncio.run(run())


def test_a_page_whose_name_was_pointed_at_this_machine_is_refused() -> None:
    async def run() -> None:
        async with envoy() as one:
            assert (await one.gateway.apply(table(a=await one.backend("a")))).live
            client = one.client()
            for host in (
                "localhost",
                "LOCALHOST:80",
                "127.0.0.1",
                f"127.0.0.1:{one.port}",
                "[::1]",
                f"[::1]:{one.port}",
            ):
                assert (await client.ask("/digits/", host=host)).status == 200, host
            for host in ("evil.example", f"evil.example:{one.port}", "localhost.evil.example", "nope.localhost", "x"):
                for path in ("/digits/", "/"):
                    answer = await client.ask(path, host=host)
                    assert answer.status == 403, host
                    assert answer.headers["content-type"] == "application/json"
                    assert "this gateway serves localhost only" in answer.json()["error"]

    asyncio.run(run())


def test_answers_of_its_own_are_json() -> None:
    async def run() -> None:
        async with envoy() as one:
            backend = await one.backend("a")
            plain = table(a=backend, timeout=0.1)
            nothing = VirtualRoute("asleep", (("asleep-1", 100),))
            routes = (*plain.routes, VirtualRoute("new", ()), nothing)
            upstreams = (*plain.upstreams, Upstream("asleep-1"))
            assert (await one.gateway.apply(RoutingTable(upstreams, routes))).live
            client = one.client()
            for path, status, words in (
                ("/nope/x?y=1", 404, "no service 'nope'"),
                ("/digitsX", 404, "no service 'digitsX'"),
                ("/digitsX/y", 404, "no service 'digitsX'"),
                ("/", 404, "no service ''"),
                ("/new/predict", 503, "service 'new' has no ready replica"),
                ("/asleep", 503, "service 'asleep' has no ready replica"),
                ("/digits/sleep", 504, "service 'digits': upstream request timeout"),
                ("/digits/die", 503, "service 'digits': "),
            ):
                answer = await client.ask(path)
                assert answer.status == status, path
                assert answer.headers["content-type"] == "application/json"
                assert words in answer.json()["error"]
            backend.kill()
            answer = await client.ask("/digits/")
            assert (answer.status, "error" in answer.json()) == (503, True)

    asyncio.run(run())


def test_what_a_server_answers_is_passed_on_as_it_is() -> None:
    async def run() -> None:
        async with envoy() as one:
            backend = await one.backend("a")
            await one.gateway.apply(table(a=backend))
            client = one.client()
            for status in (404, 500, 503, 504):
                answer = await client.ask(f"/digits/status/{status}")
                assert (answer.status, answer.json()["backend"]) == (status, "a")
                assert answer.headers["server"] == "mine"
                assert backend.asked[f"/status/{status}"] == 1  # not tried again
            asked = await client.ask("/digits/", x_request_id="mine", x_envoy_max_retries="9")
            assert asked.headers["x-request-id"] == asked.json()["headers"]["x-request-id"] == "mine"
            assert asked.json()["headers"]["x-forwarded-for"]  # of a client on loopback: this machine's address
            assert not [name for name in asked.json()["headers"] if name.startswith("x-envoy")]
            assert (await client.ask("/digits/sleep", x_envoy_upstream_rq_timeout_ms="1")).status == 200
            assert len((await client.ask("/digits/")).headers["x-request-id"]) == 36

    asyncio.run(run())


def test_a_client_cannot_speak_for_a_proxy() -> None:
    async def run() -> None:
        async with envoy() as one:
            await one.gateway.apply(table(a=await one.backend("a")))
            names = ("forwarded", "x_forwarded_host", "x_forwarded_port", "x_original_host", "x_real_ip")
            lies = dict.fromkeys(names, "evil.example")
            lies |= {"x_forwarded_for": "6.6.6.6", "x_forwarded_proto": "https"}
            asked = await one.client().ask("/digits/", body=None, **lies)
            headers = asked.json()["headers"]
            assert not [name for name, value in headers.items() if "evil" in value]
            assert headers["x-forwarded-proto"] == "http"
            # The last address is the one that Envoy saw: whoever reads this header must read it from its end.
            assert headers["x-forwarded-for"].rpartition(",")[2].strip() not in ("", "6.6.6.6")

    asyncio.run(run())


def test_weights_split_the_traffic() -> None:
    async def run() -> None:
        async with envoy() as one:
            old, new = await one.backend("old"), await one.backend("new")
            upstreams = (Upstream("d-1", (old.address,)), Upstream("d-2", (new.address,)))
            route = VirtualRoute("digits", (("d-1", 80), ("d-2", 20)))
            await one.gateway.apply(RoutingTable(upstreams, (route,)))
            client = one.client()
            for _ in range(400):
                await client.ask("/digits/")
            assert 40 <= new.asked["/"] <= 125  # 80 expected; 5 sigma
            await one.gateway.apply(RoutingTable(upstreams, (replace(route, weights=(("d-2", 7),)),)))
            old.asked.clear()
            for _ in range(20):
                await client.ask("/digits/")
            assert not old.asked

    asyncio.run(run())


def test_websockets_pass_and_have_no_time_limit() -> None:
    async def run() -> None:
        async with envoy() as one:
            backend = await one.backend("a")
            await one.gateway.apply(table(a=backend, timeout=0.2))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            head = b"GET /digits/websocket HTTP/1.1\r\nhost: localhost\r\n"
            writer.write(head + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
            assert b"101 Switching Protocols" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"hello"
            await asyncio.sleep(0.4)
            writer.write(b"GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")  # the backend of this test goes on with HTTP
            answer = await read_message(reader)
            assert answer is not None
            assert answer.json()["path"] == "/"
            writer.close()

    asyncio.run(run())


def test_answers_stream_through() -> None:
    async def run() -> None:
        async with envoy() as one:
            await one.gateway.apply(table(a=await one.backend("a")))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(b"GET /digits/drip HTTP/1.1\r\nhost: localhost\r\n\r\n")
            loop = asyncio.get_running_loop()
            await reader.readuntil(b"first\r\n")
            first = loop.time()
            await reader.readuntil(b"last\r\n0\r\n\r\n")
            assert loop.time() - first > 0.15
            writer.close()

    asyncio.run(run())


def test_http_1_0_is_answered() -> None:
    async def run() -> None:
        async with envoy() as one:
            backend = await one.backend("a")
            await one.gateway.apply(table(a=backend))
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(b"GET /digits/x HTTP/1.0\r\n\r\n")
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert b" 200 " in head.splitlines()[0]
            assert json.loads(body)["path"] == "/x"
            writer.close()

    asyncio.run(run())


def test_http_2_with_prior_knowledge_is_spoken() -> None:
    async def run() -> None:
        async with envoy() as one:
            reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            frame = await reader.readexactly(9)
            assert frame[3] == 4  # SETTINGS
            writer.close()

    asyncio.run(run())


def test_only_loopback_is_listened_on() -> None:
    async def run() -> None:
        async with envoy() as one:
            assert one.process is not None
            assert _listeners(one.process.pid) == {f"0100007F:{one.port:04X}"}
            assert (one.folder.parent / "run" / "envoy.sock").stat().st_mode & 0o777 == 0o600
            assert (one.folder.parent / "run").stat().st_mode & 0o777 == 0o700

    asyncio.run(run())


def _listeners(pid: int) -> set[str]:
    """Local addresses of the TCP sockets on which the process listens, as /proc/net writes them."""
    sockets = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for protocol in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{protocol}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                found.add(local)
    return found
