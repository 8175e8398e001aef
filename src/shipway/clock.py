"""The real clock."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_BEAT = 1.0  # seconds between two looks at the clock
_LEAP = timedelta(seconds=5)  # further apart than a busy machine delays a look

log = logging.getLogger(__name__)


def wall() -> datetime:
    """What the machine's clock shows: for records, not to measure with."""
    return datetime.now(UTC)


class SystemClock:
    """Time as the machine tells it, in UTC, and since when it can be used to measure.

    A wall clock is set by people and by NTP, and goes on while a laptop sleeps, a container is frozen or this process
    is stopped. All of these look alike from here: two looks at the clock that lie too far apart. ``wall`` is for tests.
    """

    def __init__(self, wall: Callable[[], datetime] = wall) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._seen = self._steady_since = wall()

    def now(self) -> datetime:
        with self._lock:
            before, self._seen = self._seen, self._wall()
            if abs(self._seen - before) > _LEAP:
                self._steady_since = self._seen
                log.warning("the clock leapt from %s to %s: what waits, waits from now on", before, self._seen)
            return self._seen

    def steady_since(self) -> datetime:
        return self._steady_since

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def beat(self) -> None:
        """Look at the clock for as long as this runs: a leap is seen only between two looks."""
        while True:
            self.now()
            await asyncio.sleep(_BEAT)
