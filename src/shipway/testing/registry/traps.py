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
        self._is_lifted = False
        self._changed = threading.Condition()

    def wait(self, struck: int = 1, timeout: float = PATIENCE) -> None:
        """Until it has acted so often. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.struck >= struck, timeout):
                raise TimeoutError(f"{self.fault} struck {self.struck} times in {timeout:g} s, not {struck}")

    def lift(self) -> None:
        """No further request meets it."""
        with self._changed:
            self._left, self._is_lifted = 0, True
        self._call(self._lifted.set)

    def take(self, method: str, path: str) -> Turn | None:
        """What this request meets of it; say when the request is :meth:`Turn.over`."""
        with self._changed:
            meant = matches(method, path, wanted_method=self._method, wanted_path=self._path)
            if not meant or self._left == 0:
                return None
            if self._left is not None:
                self._left -= 1
            return Turn(self, self._lifted)

    def strike(self) -> None:
        """It acted."""
        with self._changed:
            self.struck += 1
            self._changed.notify_all()

    def give_back(self) -> None:
        """A request met it unharmed (a body was too short to be cut): the next one takes its turn."""
        with self._changed:
            if self._left is not None and not self._is_lifted:
                self._left += 1


class Turn:
    """One request's meeting with a trap."""

    def __init__(self, trap: Trap, lifted: asyncio.Event) -> None:
        self.fault = trap.fault
        self._trap, self._lifted, self._struck = trap, lifted, False

    def strike(self) -> None:
        """It acts."""
        self._struck = True
        self._trap.strike()

    def seen_by_flow(self) -> Strike:
        """What the fault's ``flow`` gets."""
        return Strike(self.strike, self._lifted)

    def over(self) -> None:
        """The request has ended."""
        if not self._struck:
            self._trap.give_back()
