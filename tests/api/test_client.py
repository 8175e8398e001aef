"""The client alone: what it makes of hubs that are absent, strange or slow, and what it imports."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipway.client import HubClient, parse_events
from shipway.errors import Conflict, HubUnreachable, PlatformError, UserError


@contextmanager
def answering(folder: Path, answer: bytes) -> Iterator[HubClient]:
    """A server that answers one request with these bytes, whatever it was."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        server.listen()

        def run() -> None:
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        yield HubClient(folder / "s", timeout=5)
        thread.join(5)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c")


def test_no_socket(folder: Path) -> None:
    with pytest.raises(HubUnreachable, match="no such socket") as caught:
        HubClient(folder / "hub.sock").get("/healthz")
    assert "shipway hub start" in caught.value.next_step


def test_nobody_behind_the_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "s"))
    with pytest.raises(HubUnreachable, match="refused"):
        HubClient(folder / "s").get("/healthz")


def test_a_path_that_no_socket_can_have(folder: Path) -> None:
    with pytest.raises(HubUnreachable, match="too long"):
        HubClient(folder / ("x" * 200)).get("/healthz")


def test_a_hub_that_dies_while_it_answers(folder: Path) -> None:
    with answering(folder, b"") as client, pytest.raises(HubUnreachable):
        client.get("/healthz")
    (folder / "s").unlink()
    with (
        answering(folder, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf") as client,
        pytest.raises(HubUnreachable),
    ):
        client.get("/healthz")
    (folder / "s").unlink()
    chunked = b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1b\r\nevent: line\ndata: {"a":1}\n\n\r\n'
    with answering(folder, chunked) as client, pytest.raises(HubUnreachable):
        list(client.stream("/"))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n[]",
        b'HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\n\r\n{"error": 17}',
    ],
)
def test_something_that_is_no_hub(folder: Path, answer: bytes) -> None:
    with answering(folder, answer) as client, pytest.raises(HubUnreachable):
        client.get("/healthz")


def test_errors_come_back_as_they_were(folder: Path) -> None:
    body = json.dumps({"error": Conflict("changed", next_step="again").to_json()}).encode()
    answer = b"HTTP/1.1 409 Conflict\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with answering(folder, answer) as client, pytest.raises(Conflict, match="changed") as caught:
        client.put("/x", {})
    assert caught.value.next_step == "again"


def test_an_endless_error_is_not_read_to_its_end(folder: Path) -> None:
    answer = b"HTTP/1.1 500 Oh\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 70_000
    with answering(folder, answer) as client, pytest.raises(HubUnreachable, match="500 Oh"):
        client.get("/")


def test_a_path_that_no_url_can_have(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
        server.listen()
        with pytest.raises(UserError):
            HubClient(folder / "s").get("/a b\r\nx: y")


def test_one_of_socket_and_url() -> None:
    with pytest.raises(PlatformError):
        HubClient()
    with pytest.raises(PlatformError):
        HubClient(Path("/s"), "http://127.0.0.1:1")


@pytest.mark.parametrize(
    "text, expected",
    [
        ('event: a\ndata: {"x":1}\n\n', [("a", {"x": 1})]),
        ('data: {"x":1}\r\n\r\n', [("message", {"x": 1})]),
        (': comment\n\nid: 7\nevent:a\ndata:{"x":\ndata:1}\n\n', [("a", {"x": 1})]),
        ('event: a\n\ndata: {"x":1}\n\n', [("message", {"x": 1})]),
        ('event: a\ndata: {"x":1}\n', []),
        ("", []),
    ],
)
def test_events(text: str, expected: object) -> None:
    assert list(parse_events(text.encode().splitlines(keepends=True))) == expected


@pytest.mark.slow
def test_the_client_imports_nothing_heavy() -> None:
    code = "import sys, shipway.client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "pydantic", "httpx", "starlette", "yaml", "rich", "click"} & set(names)
