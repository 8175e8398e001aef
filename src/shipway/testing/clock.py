"""Virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Stands still until :meth:`advance`. Sleepers wake in the order of their times."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = self._steady_since = start
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def steady_since(self) -> datetime:
        return self._steady_since

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), future))
        await future

    def jump(self, seconds: float) -> None:
        """Move time without waking anybody: for tests without a loop."""
        self._now += timedelta(seconds=seconds)

    def leap(self, seconds: float) -> None:
        """Somebody sets the clock, in either direction: who sleeps, sleeps on for as long as before."""
        self._now += timedelta(seconds=seconds)
        self._steady_since = self._now
        self._sleepers = [(at + timedelta(seconds=seconds), future) for at, future in self._sleepers]

    async def advance(self, seconds: float) -> None:
        """Let so much time pass; everything that becomes due runs before this returns."""
        end = self._now + timedelta(seconds=seconds)
        while True:
            await _let_run()
            due = [one for one in self._sleepers if one[0] <= end and not one[1].done()]
            if not due:
                break
            at, future = min(due, key=lambda one: one[0])
            self._sleepers.remove((at, future))
            self._now = max(self._now, at)
            future.set_result(None)
        self._sleepers = [one for one in self._sleepers if not one[1].done()]
        self._now = end


async def _let_run() -> None:
    # A chain of awaits needs one turn of the loop per link; 50 is more than any of ours has.
    for _ in range(50):
        await asyncio.sleep(0)
