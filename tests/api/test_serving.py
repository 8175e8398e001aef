"""Sockets, tokens and the end: what is true before and after the first request."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from shipway.api.app import build
from shipway.api.guard import Guard
from shipway.api.serve import serve
from shipway.client import HubClient
from shipway.errors import HubUnreachable, PortTaken, Refused, ShipwayError
from tests.api.served_hub import TOKEN, Hub, free_port, served


def status_line(hub: Hub, *headers: str) -> bytes:
    with socket.create_connection(("127.0.0.1", hub.port)) as link:
        link.sendall("\r\n".join(["GET /healthz HTTP/1.1", "connection: close", *headers, "", ""]).encode("latin-1"))
        return link.makefile("rb").readline()


def test_tcp_needs_the_token(hub: Hub) -> None:
    url = f"http://127.0.0.1:{hub.port}"
    assert HubClient(url=url, token=TOKEN).get("/healthz")["status"] == "ok"
    for wrong in (None, "", "guess", TOKEN + "x", "ÿ"):
        with pytest.raises(Refused, match="token"):
            HubClient(url=url, token=wrong).get("/healthz")
    with pytest.raises(Refused):
        HubClient(url=url).post("/v1/shutdown")
    assert hub.shutdowns == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost:9", "LOCALHOST", "[::1]:80"])
def test_loopback_names_are_allowed(hub: Hub, host: str) -> None:
    assert b" 200 " in status_line(hub, f"host: {host}", f"authorization: Bearer {TOKEN}")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "[::1", "", "0.0.0.0"]
)
def test_other_names_are_refused_even_with_the_token(hub: Hub, host: str) -> None:
    assert b" 403 " in status_line(hub, f"host: {host}", f"authorization: Bearer {TOKEN}")


def test_forwarded_headers_change_nothing(hub: Hub) -> None:
    assert b" 401 " in status_line(hub, "host: localhost", "x-forwarded-for: unix", "x-forwarded-proto: https")


@pytest.mark.parametrize("server", [("127.0.0.1", 80), None])
def test_no_token_means_no_tcp(server: tuple[str, int] | None) -> None:
    sent: list[int] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message.get("status", 0))

    async def never(*_: object) -> None:
        raise AssertionError("the application was reached")

    # A TCP client that hung up has no address any more: it must not pass for the Unix socket.
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer None")]
    scope = {"type": "http", "server": server, "client": None, "headers": headers}
    asyncio.run(Guard(never, None)(scope, never, send))  # type: ignore[arg-type]
    assert sent[0] == 401


def test_the_socket_is_private_from_birth(hub: Hub) -> None:
    assert hub.socket.stat().st_mode & 0o777 == 0o600
    assert hub.socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Not tmp_path: a test's long name does not fit into the 107 bytes of a socket's path.
    return tmp_path_factory.mktemp("s")


def test_open_streams_end_with_the_hub(folder: Path) -> None:
    with served(folder) as hub:
        streams = [
            hub.client.stream(path) for path in ("/apis/shipway.dev/v1alpha1?watch=true", "/v1/journal?follow=true")
        ]
        ended: list[list[object]] = []
        readers = [threading.Thread(target=lambda one=one: ended.append(list(one))) for one in streams]
        for reader in readers:
            reader.start()
        while len(hub.store._subscribers._callbacks) + len(hub.journal._subscribers._callbacks) < 2:
            time.sleep(0.005)
        hub.end()
        for reader in readers:
            reader.join(10)
        assert ended == [[], []]
        assert not hub.store._subscribers._callbacks
        assert not hub.journal._subscribers._callbacks
        assert not hub.socket.exists()
        with pytest.raises(HubUnreachable):
            hub.client.get("/healthz")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", hub.port))


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    (folder / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "run" / "hub.sock"))
    with served(folder) as hub:
        assert hub.client.get("/healthz")["status"] == "ok"


def test_rubbish_in_the_place_of_the_socket_is_replaced(folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "hub.sock").write_text("rubbish")
    with served(folder) as hub:
        assert hub.client.get("/healthz")["status"] == "ok"


def test_a_living_hub_is_not_replaced(hub: Hub) -> None:
    with pytest.raises(PortTaken, match="another hub"):
        start(hub, hub.socket, None)
    assert hub.client.get("/healthz")["status"] == "ok"


def test_the_socket_of_the_next_hub_stays(folder: Path) -> None:
    with served(folder) as hub:
        hub.socket.unlink()
        with socket.socket(socket.AF_UNIX) as successor:
            successor.bind(str(hub.socket))
            hub.end()
            assert hub.socket.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_only_loopback_is_listened_on(hub: Hub, folder: Path, host: str) -> None:
    with pytest.raises(Refused, match="does not listen"):
        start(hub, folder / "hub.sock", (host, free_port()))


def test_a_port_that_is_taken(hub: Hub, folder: Path) -> None:
    with pytest.raises(PortTaken, match=str(hub.port)):
        start(hub, folder / "hub.sock", ("127.0.0.1", hub.port))
    assert list(folder.iterdir()) == []


def test_a_socket_path_that_is_too_long(hub: Hub, folder: Path) -> None:
    with pytest.raises(ShipwayError, match="too long"):
        start(hub, folder / ("x" * 120) / "hub.sock", None)


def test_signals_stay_ours(folder: Path) -> None:
    async def main() -> list[object]:
        stop = asyncio.Event()
        hub = Hub(folder / "hub.sock", 0)
        serving = asyncio.ensure_future(serve(build(hub.backend(), None), socket=hub.socket, tcp=None, stop=stop))
        await asyncio.sleep(0.01)
        during: list[object] = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
        stop.set()
        await serving
        return during

    before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    umask = os.umask(0o022)
    os.umask(umask)
    during = asyncio.run(main())
    assert during[0] == before[0]
    assert os.umask(umask) == umask


def start(hub: Hub, path: Path, tcp: tuple[str, int] | None) -> None:
    asyncio.run(serve(build(hub.backend(), TOKEN), socket=path, tcp=tcp, stop=asyncio.Event()))
