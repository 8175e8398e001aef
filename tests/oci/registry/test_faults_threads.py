"""A cancelled caller waits for its thread, and what the thread gave is not lost open."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from shipway.oci import Descriptor, Layout
from shipway.oci.registry.source import Source
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


class _Slow(Layout):
    """A layout whose blobs open and are read when they are let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.let, self.open = threading.Event(), threading.Event(), 0

    @contextmanager
    def open_unverified(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with super().open_unverified(descriptor) as file:
            self.open += 1
            self.asked.set()
            self.let.wait()
            try:
                yield file
            finally:
                self.open -= 1


def test_a_blob_that_is_opened_for_nobody_is_closed(tmp_path: Path) -> None:
    layout = _Slow(tmp_path / "oci")
    blob = layout.put_blob(b"content")

    async def work() -> None:
        async def send() -> None:
            async with Source(layout, blob, 0, blob.size, lambda _: None):
                raise AssertionError("it was cancelled before")

        task = asyncio.ensure_future(send())
        await asyncio.to_thread(layout.asked.wait)
        task.cancel()
        layout.let.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert layout.open == 0

    asyncio.run(work())


def test_a_blob_of_which_the_first_piece_is_sent_is_closed(tmp_path: Path) -> None:
    layout = _Slow(tmp_path / "oci")
    layout.let.set()
    blob = layout.put_blob(bytes(3 << 20))

    async def work() -> None:
        async with Source(layout, blob, 0, blob.size, lambda _: None) as source:
            async for piece in source:
                assert piece
                break
        assert layout.open == 0

    asyncio.run(work())
