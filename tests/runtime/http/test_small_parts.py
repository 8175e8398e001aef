"""Deadlines, who lingers, whose connection ended, and pipes."""

from __future__ import annotations

import asyncio
import gzip
import math
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.http import events
from shipway.runtime.server.http.body import gunzip, inflate
from shipway.runtime.server.http.deadlines import allowance
from shipway.runtime.server.http.departures import Departures
from shipway.runtime.server.http.pipes import Pipe
from shipway.runtime.server.lingering import Lingering
from tests.runtime.http.face import Departure, Exchange, Scope


@pytest.mark.parametrize(
    "asked, envoys, default, seconds",
    [
        (None, None, 0.0, math.inf),
        (None, None, 2.5, 2.5),
        ("3", None, 2.5, 3.0),
        ("0.5", None, 0.0, 0.5),
        ("250ms", None, 0.0, 0.25),
        (" 2s ", None, 0.0, 2.0),
        ("1m", None, 0.0, 60.0),
        (None, "1500", 0.0, 1.5),
        (None, "0", 0.0, math.inf),
        ("1", "1500", 0.0, 1.0),
        ("2", "1500", 0.0, 1.5),
    ],
)
def test_how_long_a_request_may_take(asked: str | None, envoys: str | None, default: float, seconds: float) -> None:
    assert allowance(asked, envoys, default) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "nan", "inf", "0", "1h", "1 s", "9" * 30, "\u0661", "1_0"])
def test_times_that_make_no_sense(text: str) -> None:
    with pytest.raises(BadInput, match="x-request-timeout is"):
        allowance(text, None, 0.0)


def test_who_stays_is_acted_upon_and_who_goes_is_not() -> None:
    async def steps() -> None:
        stayed: dict[str, int] = {}
        lingering = Lingering[str, int](0.01, stayed.__setitem__)
        for number, name in enumerate(("a", "b", "c")):
            lingering.enter(name, number)
        lingering.leave("b")
        while "a" not in stayed:
            await asyncio.sleep(0.005)
        assert stayed == {"a": 0, "c": 2}
        lingering.leave("a")
        lingering.enter("d", 3)
        lingering.leave("d")
        await asyncio.sleep(0.05)
        assert stayed == {"a": 0, "c": 2}
        assert lingering._timer is None, "it watches although nobody is here"

    asyncio.run(steps())


def test_the_end_of_a_connection_ends_all_its_requests_and_no_others() -> None:
    async def steps() -> None:
        departures = Departures(soon=0.001)
        ends: dict[str, Departure] = {}

        class Told(Exchange):
            def client_disconnect(self) -> Departure:
                ends[client] = super().client_disconnect()
                return ends[client]

        async def wait() -> None:
            await asyncio.sleep(60)

        tasks: dict[str, list[asyncio.Task[Any]]] = {"x:1": [], "y:2": []}
        for client in ("x:1", "x:1", "y:2"):
            tasks[client].append(asyncio.create_task(wait()))
            departures.enter(tasks[client][-1], Scope("POST", "/", {}, "2", client), Told(b""))
            while client not in ends:
                await asyncio.sleep(0.001)
        answered = tasks["y:2"][0]
        ends["x:1"].set_result(None)
        done = await asyncio.gather(*tasks["x:1"], return_exceptions=True)
        assert [type(one) for one in done] == [asyncio.CancelledError] * 2
        for task in tasks["x:1"]:
            departures.leave(task)
        assert not answered.done()
        departures.leave(answered)
        assert ends["y:2"].cancelled(), "nobody looks at the connection of an answered request"
        answered.cancel()
        await asyncio.gather(answered, return_exceptions=True)
        assert (departures._connections, departures._watched) == ({}, {})

    asyncio.run(steps())


def test_a_pipe_takes_no_more_than_its_reader_does() -> None:
    async def steps() -> None:
        pipe = Pipe()
        reader = os.open(pipe.path, os.O_RDONLY)
        writing = asyncio.create_task(pipe.write(b"x" * 1_000_000))
        await asyncio.to_thread(os.read, reader, 1000)
        await asyncio.sleep(0.02)
        assert (writing.done(), pipe.sent < 200_000) == (False, True)
        total = 1000
        while total < 1_000_000:
            total += len(await asyncio.to_thread(os.read, reader, 100_000))
        await writing
        await pipe.write(b"last")
        pipe.close()
        assert os.read(reader, 10) == b"last"
        assert os.read(reader, 10) == b""
        os.close(reader)

    asyncio.run(steps())


def test_a_reader_that_goes_is_noticed() -> None:
    async def steps() -> None:
        pipe = Pipe()
        reader = os.open(pipe.path, os.O_RDONLY)
        writing = asyncio.create_task(pipe.write(b"x" * 1_000_000))
        await asyncio.to_thread(os.read, reader, 1000)
        await asyncio.sleep(0.01)
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            await writing
        pipe.close()

    asyncio.run(steps())


def test_a_reader_that_never_comes_or_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipway.runtime.server.http.pipes._OPENED", 0.01)
    monkeypatch.setattr("shipway.runtime.server.http.pipes._STALLED", 0.01)

    async def steps() -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        pipe = Pipe()
        with pytest.raises(BrokenPipeError, match="nobody opened"):
            await pipe.write(b"x")
        pipe.close()
        pipe.close()
        stalled = Pipe()
        reader = os.open(stalled.path, os.O_RDONLY)
        writing = asyncio.create_task(stalled.write(b"x" * 1_000_000))
        await asyncio.to_thread(os.read, reader, 1)
        with pytest.raises(BrokenPipeError, match="nothing was read"):
            await writing
        stalled.close()
        os.close(reader)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    asyncio.run(steps())


def test_no_more_is_unpacked_than_may_be() -> None:

    bomb = bytes(1_000_000)
    assert len(gunzip(gzip.compress(bomb), 1000)) == 1000
    assert len(gunzip(gzip.compress(bytes(600)) * 2, 1000)) == 1000
    assert len(inflate(zlib.compress(bomb), 1000)) == 1000


def test_a_stream_that_finds_no_file_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError(24, "Too many open files")

    async def nothing() -> AsyncIterator[Any]:
        return
        yield

    async def body() -> None:
        streams = events.Streams()
        monkeypatch.setattr(events, "Pipe", none_left)
        with pytest.raises(OSError, match="Too many"):
            await streams.answer(None, (), nothing(), lambda _: b"", math.inf)  # type: ignore[arg-type]
        assert streams._open == 0

    asyncio.run(body())
