"""A cancelled caller waits for its thread, and what the thread gave is not lost open."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest

from shipway.oci.registry.threads import in_thread


def test_what_a_thread_gives_and_raises() -> None:
    async def work() -> None:
        assert await in_thread(int, "11", base=2) == 3
        with pytest.raises(ValueError, match="invalid literal"):
            await in_thread(int, "x")

    asyncio.run(work())


@pytest.mark.parametrize("times", [1, 3])
def test_who_is_cancelled_waits_for_the_thread(times: int) -> None:
    begun, go_on, opened = threading.Event(), threading.Event(), io.BytesIO()

    def slow() -> io.BytesIO:
        begun.set()
        go_on.wait()
        return opened

    async def work() -> None:
        task = asyncio.ensure_future(in_thread(slow))
        await asyncio.to_thread(begun.wait)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert opened.closed


def test_an_error_of_a_thread_that_nobody_waits_for() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def fails() -> None:
        begun.set()
        go_on.wait()
        raise OSError("lost")

    async def work() -> None:
        task = asyncio.ensure_future(in_thread(fails))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
