"""Waiting, on the event loop, for a write that any thread may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Wake:
    """An event that a ``subscribe(callback) -> unsubscribe`` function sets; ``close`` it."""

    def __init__(self, subscribe: Callable[[Callable[[], None]], Callable[[], None]]) -> None:
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.close = subscribe(self._set)

    def clear(self) -> None:
        """Forget what was written until now: call it before reading, not after."""
        self._event.clear()

    async def before(self, deadline: float | None) -> bool:
        """Whether something was written before the loop's clock reached ``deadline`` (None: wait for ever)."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._event.wait()
        except TimeoutError:
            return False
        return True

    def _set(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)


def after(seconds: float | None) -> float | None:
    """The loop's time in so many seconds; None stays None."""
    return None if seconds is None else asyncio.get_running_loop().time() + seconds
