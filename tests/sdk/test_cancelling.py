"""Asynchronous streams: to cancel who reads one, or to leave its loop, ends it at the hub, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from shipway.async_client import AsyncHubClient
from shipway.errors import HubUnreachable, NotFound, UserError
from shipway.sdk.client_async import AsyncClient
from tests.api.served_hub import Hub
from tests.cli.worlds import job


async def ended(hub: Hub) -> bool:
    """Whether the hub's stream ends soon."""
    return await asyncio.to_thread(hub.logs_closed.wait, 10)


@pytest.fixture
def logged(hub: Hub) -> Hub:
    """A hub with a job whose log goes on for ever."""
    hub.store.put(job().model_copy(update={"metadata": job().metadata.model_copy(update={"generation": 0})}))
    hub.logs_closed.clear()
    return hub


def test_cancelling_ends_the_stream(logged: Hub) -> None:
    async def main() -> None:
        lines: asyncio.Queue[str] = asyncio.Queue()

        async def read() -> None:
            async for line in AsyncClient(start=False).logs("job", "digits", follow=True):
                lines.put_nowait(line.text)

        threads = set(threading.enumerate())
        reading = asyncio.create_task(read())
        for _ in range(3):
            await asyncio.wait_for(lines.get(), 10)
        assert set(threading.enumerate()) == threads, "no thread reads for it"
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        assert reading.cancelled()
        assert await ended(logged)

    asyncio.run(main())
    gc.collect()  # a socket left open would be a ResourceWarning, which is an error here


def test_leaving_the_loop_ends_the_stream(logged: Hub) -> None:
    async def main() -> None:
        async for _ in AsyncClient(start=False).logs("job", "digits", follow=True):
            break
        assert await ended(logged)

    asyncio.run(main())


def test_many_at_once_share_a_client(logged: Hub) -> None:
    async def main() -> None:
        client = AsyncClient(start=False)
        found = await asyncio.gather(*(client.get("job", "digits") for _ in range(20)))
        assert {one.name for one in found} == {"digits"}

    asyncio.run(main())


# -- the transport: what differs from the synchronous one


def test_an_upload_that_is_refused_says_why(hub: Hub) -> None:
    async def main() -> None:
        large = b"x" * (64 << 20)  # more than the socket takes before the hub has answered
        with pytest.raises((NotFound, UserError)):
            await AsyncHubClient(hub.socket).upload("/v1/artifacts/not-a-digest", large, len(large))

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
def test_who_is_no_hub(tmp_path_factory: pytest.TempPathFactory, answer: bytes) -> None:
    path = tmp_path_factory.mktemp("c") / "s"

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    async def main() -> None:
        async with await asyncio.start_unix_server(answering, path):
            with pytest.raises(HubUnreachable):
                await AsyncHubClient(path, timeout=5).get("/healthz")

    asyncio.run(main())


def test_a_stream_that_breaks_is_no_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("c") / "s"
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(head + b'1c\r\nevent: line\ndata: {"a":1}\n\n\r\n')
        writer.close()

    async def main() -> None:
        async with await asyncio.start_unix_server(answering, path):
            stream = AsyncHubClient(path, timeout=5).stream("/")
            assert await anext(stream) == ("line", {"a": 1})
            with pytest.raises(HubUnreachable):
                await anext(stream)

    asyncio.run(main())


def test_a_hub_that_is_silent_counts_as_gone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("c") / "s"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(HubUnreachable):
            asyncio.run(AsyncHubClient(path, timeout=0.05).get("/healthz"))
