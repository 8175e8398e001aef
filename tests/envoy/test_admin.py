from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from shipway.envoy.admin import Admin
from shipway.errors import DependencyFailed, Unresponsive


def ask(answer: bytes, *, hang: bool = False) -> str:
    """What the client makes of these bytes."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if hang:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        served.set()

    async def run(path: Path) -> str:
        server = await asyncio.start_unix_server(serve, path)
        async with server:
            try:
                return (await Admin(path, timeout=0.05).ask("/x")).decode()
            finally:
                await served.wait()

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        return asyncio.run(run(Path(folder) / "s"))


def test_bodies_plain_and_in_chunks() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") == "ok"
    assert ask(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n") == (
        "abc0123456789"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_everything_else_is_silence(answer: bytes) -> None:
    with pytest.raises(Unresponsive):
        ask(answer)


def test_patience_ends() -> None:
    with pytest.raises(Unresponsive, match="TimeoutError"):
        ask(b"HTTP/1.1 200 OK\r\n\r\n", hang=True)


def test_nobody_there() -> None:
    with pytest.raises(DependencyFailed, match="/nowhere") as found:
        asyncio.run(Admin(Path("/nowhere")).liveness())
    assert not isinstance(found.value, Unresponsive)
