"""The loop that all controllers share: a queue of keys, one reconcile per key at a time, back-off.

Level-triggered: a key says that something about an object may have changed, not what. Keys that arrive
while their object is being reconciled are remembered once. A reconcile that raises comes again later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Protocol

from shipway.errors import ClusterUnreachable, RegistryUnreachable
from shipway.ports import Clock

Key = tuple[str, str]  # kind, name

_FIRST_BACKOFF = 0.1  # seconds, doubles with each failure in a row
_LONGEST_BACKOFF = 30.0

log = logging.getLogger(__name__)


class Reconcile(Protocol):
    """Bring one object nearer to what it declares. Returns when to look again, or None: when it changes."""

    def __call__(self, name: str) -> Awaitable[datetime | None]: ...


class Outcomes(Protocol):
    """Who is told how reconciles end."""

    def succeeded(self, key: Key) -> None: ...

    def failed(self, key: Key, error: Exception, failures: int) -> None:
        """``failures`` in a row, this one counted; the next try comes by itself."""
        ...


class Untold:
    """Nobody is told."""

    def succeeded(self, key: Key) -> None: ...

    def failed(self, key: Key, error: Exception, failures: int) -> None: ...


class Queue:
    """Runs reconciles. ``add`` may be called from any coroutine of the loop."""

    def __init__(self, reconcilers: dict[str, Reconcile], clock: Clock, outcomes: Outcomes | None = None) -> None:
        self._reconcilers = reconcilers
        self._clock = clock
        self._outcomes = outcomes or Untold()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._timers: dict[Key, tuple[datetime, asyncio.Task[None]]] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Reconcile that object soon."""
        if key[0] not in self._reconcilers:
            return
        if key in self._running:
            self._again.add(key)
            return
        self._running[key] = asyncio.create_task(self._reconcile(key), name=f"reconcile {key[0]}/{key[1]}")

    def add_at(self, key: Key, at: datetime) -> None:
        """Reconcile that object then; an earlier time that is already set stands."""
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= at:
                return
            known[1].cancel()
        self._timers[key] = (at, asyncio.create_task(self._later(key, at)))

    async def idle(self) -> None:
        """Wait until no reconcile runs (timers may be pending)."""
        while self._running:
            await asyncio.gather(*self._running.values())

    async def stop(self) -> None:
        """Cancel what is pending and what runs; the next hub goes on from the store."""
        tasks = [task for _, task in self._timers.values()] + list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _later(self, key: Key, at: datetime) -> None:
        await self._clock.sleep(max(0.0, (at - self._clock.now()).total_seconds()))
        del self._timers[key]
        self.add(key)

    async def _reconcile(self, key: Key) -> None:
        kind, name = key
        try:
            wake_at = await self._reconcilers[kind](name)
            self._failures.pop(key, None)
            self._outcomes.succeeded(key)
            if wake_at is not None:
                self.add_at(key, wake_at)
        except Exception as error:
            self._failed(key, error)
        finally:
            del self._running[key]
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _failed(self, key: Key, error: Exception) -> None:
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        _log_error(key, error)
        delay = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2 ** min(count, 16))
        self.add_at(key, self._clock.now() + timedelta(seconds=delay))
        try:
            self._outcomes.failed(key, error, count + 1)
        except Exception as worse:  # a full disk lets nothing be written of itself
            _log_error(key, worse)


def _log_error(key: Key, error: Exception) -> None:
    # A cluster that is away fails 500 services every half a minute: where we are is no news then, only what it says.
    trace = None if isinstance(error, ClusterUnreachable | RegistryUnreachable) else error
    log.warning("reconcile of %s/%s failed and comes again: %s", key[0], key[1], error, exc_info=trace)
