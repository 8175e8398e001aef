"""Who stays long, at the price of two dictionary operations for each who does not. Lives on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Lingering(Generic[K, V]):
    """Calls ``act(key, value)`` for what stays between ``seconds`` and twice as long. One timer for all, and none while
    nobody is here."""

    def __init__(self, seconds: float, act: Callable[[K, V], None]) -> None:
        self._seconds = seconds
        self._act = act
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, key: K, value: V) -> None:
        """It is here from now on."""
        self._young[key] = value
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._sweep)

    def leave(self, key: K) -> None:
        """It is gone; also for what was acted upon."""
        if self._young.pop(key, None) is None:
            self._old.pop(key, None)

    def _sweep(self) -> None:
        staying, self._old, self._young = self._old, self._young, {}
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._sweep) if self._old else None
        for key, value in staying.items():
            self._act(key, value)
