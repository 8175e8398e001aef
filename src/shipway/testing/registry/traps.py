"""Which faults are set, for which requests, and how often they struck."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from shipway.testing.registry.faults import Fault, Strike
from shipway.testing.registry.log import matches

PATIENCE = 30.0  # seconds


class Trap:
    """A fault that waits for requests. ``struck`` is how often it acted; ``wait`` waits for that; ``lift`` ends it.

    Requests that hang in it go on when it is lifted.
    """

    def __init__(self, fault: Fault, method: str, path: str, times: int | None, call: Callable[..., object]) -> None:
        self.fault = fault
        self.struck = 0
        self._method, self._path, self._left, self._call = method, path, times, call
        self._lifted = asyncio.Event()
        self._changed = threading.Condition()

    def wait(self, struck: int = 1, timeout: float = PATIENCE) -> None:
        """Until it has acted so often. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.struck >= struck, timeout):
                raise TimeoutError(f"{self.fault} struck {self.struck} times in {timeout:g} s, not {struck}")

    def lift(self) -> None:
        """No further request meets it."""
        with self._changed:
            self._left = 0
        self._call(self._lifted.set)

    def take(self, method: str, path: str) -> bool:
        """Whether this request meets it."""
        with self._changed:
            meant = matches(method, path, wanted_method=self._method, wanted_path=self._path)
            if not meant or self._left == 0:
                return False
            if self._left is not None:
                self._left -= 1
            return True

    def strike(self) -> None:
        """It acted."""
        with self._changed:
            self.struck += 1
            self._changed.notify_all()

    def seen_by_flow(self) -> Strike:
        """What the fault's ``flow`` gets."""
        return Strike(self.strike, self._lifted)
