"""The queue: one reconcile per key at a time, nothing lost, back-off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from shipway.controllers import Queue
from shipway.testing.clock import FakeClock

KEY = ("Thing", "a")


def run(body: Callable[[FakeClock], Awaitable[None]]) -> None:
    asyncio.run(_run(body))


async def _run(body: Callable[[FakeClock], Awaitable[None]]) -> None:
    await body(FakeClock())


def test_a_key_is_reconciled_once_however_often_it_was_added() -> None:
    async def body(clock: FakeClock) -> None:
        seen: list[str] = []
        gate = asyncio.Event()

        async def reconcile(name: str) -> None:
            seen.append(name)
            await gate.wait()

        queue = Queue({"Thing": reconcile}, clock)
        queue.add(KEY)
        await clock.advance(0)
        for _ in range(5):
            queue.add(KEY)
        assert seen == ["a"]
        gate.set()
        await queue.idle()
        assert seen == ["a", "a"]

    run(body)


def test_unknown_kinds_are_ignored() -> None:
    async def body(clock: FakeClock) -> None:
        queue = Queue({}, clock)
        queue.add(KEY)
        await queue.idle()

    run(body)


def test_it_comes_again_at_the_time_that_was_returned_and_the_earliest_stands() -> None:
    async def body(clock: FakeClock) -> None:
        times: list[datetime] = []

        async def reconcile(name: str) -> datetime | None:
            times.append(clock.now())
            return clock.now() + timedelta(seconds=10) if len(times) < 3 else None

        queue = Queue({"Thing": reconcile}, clock)
        start = clock.now()
        queue.add(KEY)
        await clock.advance(1)
        queue.add_at(KEY, start + timedelta(seconds=5))
        queue.add_at(KEY, start + timedelta(seconds=50))
        await clock.advance(60)
        assert [(one - start).total_seconds() for one in times] == [0, 5, 15]
        await queue.stop()

    run(body)


def test_a_failing_reconcile_backs_off_and_recovers(caplog: pytest.LogCaptureFixture) -> None:
    async def body(clock: FakeClock) -> None:
        times: list[float] = []
        start = clock.now()

        async def reconcile(name: str) -> None:
            times.append(round((clock.now() - start).total_seconds(), 3))
            if len(times) < 4:
                raise RuntimeError("boom")

        queue = Queue({"Thing": reconcile}, clock)
        queue.add(KEY)
        await clock.advance(100)
        assert times == [0, 0.1, 0.3, 0.7]
        await queue.stop()

    with caplog.at_level(logging.WARNING):
        run(body)
    assert "Thing/a failed and comes again: boom" in caplog.text


def test_the_back_off_has_a_longest_wait_however_often_it_fails() -> None:
    async def body(clock: FakeClock) -> None:
        calls = 0

        async def reconcile(name: str) -> None:
            nonlocal calls
            calls += 1
            raise RuntimeError("boom")

        logging.disable(logging.WARNING)
        queue = Queue({"Thing": reconcile}, clock)
        queue._failures[KEY] = 2000  # a night of a full disk
        queue.add(KEY)
        await clock.advance(61)
        logging.disable(logging.NOTSET)
        assert calls == 3
        await queue.stop()

    run(body)


def test_stop_cancels_what_runs_and_what_waits() -> None:
    async def body(clock: FakeClock) -> None:
        async def reconcile(name: str) -> None:
            await asyncio.Event().wait()

        queue = Queue({"Thing": reconcile}, clock)
        queue.add(KEY)
        queue.add_at(("Thing", "b"), clock.now() + timedelta(seconds=9))
        await clock.advance(0)
        await queue.stop()
        await queue.idle()

    run(body)
