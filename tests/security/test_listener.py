"""The hub's API over TCP: what a web page, a stranger and a talkative client get."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.stage import Stage, served


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="shipway-") as folder, served(Path(folder) / "home") as one:
        yield one


def say(stage: Stage, line: str, *headers: str) -> bytes:
    """Everything that comes back for a request over TCP."""
    host, port = stage.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall("\r\n".join([line, f"host: {host}:{port}", "connection: close", *headers, "", ""]).encode())
        answer = b""
        while block := link.recv(65536):
            answer += block
        return answer


def test_without_the_token_it_says_how_to_come_in_and_nothing_else(stage: Stage) -> None:
    for path in ("/healthz", "/v1/status", "/v1/secrets", "/openapi.json", "/nowhere"):
        answer = say(stage, f"GET {path} HTTP/1.1")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"www-authenticate: Bearer" in answer.lower().replace(b"bearer", b"Bearer")
        assert str(stage.settings.home).encode() not in answer


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
def test_a_page_of_another_origin_gets_no_leave(stage: Stage, origin: str) -> None:
    asks = (f"origin: {origin}", "access-control-request-method: PUT", "access-control-request-headers: authorization")
    preflight = say(stage, "OPTIONS /v1/secrets/a/B HTTP/1.1", *asks)
    assert preflight.startswith(b"HTTP/1.1 401 ")
    known = say(stage, "GET /healthz HTTP/1.1", f"origin: {origin}", f"authorization: Bearer {stage.token}")
    assert known.startswith(b"HTTP/1.1 200 ")
    assert b"access-control" not in (preflight + known).lower()


def test_endless_headers_are_cut_off(stage: Stage) -> None:
    host, port = stage.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link, pytest.raises(ConnectionError):  # noqa: PT012
        link.sendall(b"GET /healthz HTTP/1.1\r\nx-long: ")
        for _ in range(1000):  # 64 MB, if somebody would take them
            link.sendall(b"a" * 65536)


def test_sockets_and_token_are_their_owners_only(stage: Stage) -> None:
    for path in (stage.settings.hub_socket, stage.settings.token):
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(stage.token) >= 43  # 256 bits in base64
