"""Time as a workload lives it: without what its supervisor slept through."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_BUSY = 2.0  # seconds by which a busy machine may wake us late
_GRACE = 1.0  # seconds for those that wake with us to answer what we asked before


class Awake:
    """Monotonic seconds in which this process ran.

    A frozen container, a suspended machine and SIGSTOP stop replicas as well: deadlines that passed meanwhile say
    nothing about them. Without this, every probe that was under way has failed when the laptop's lid opens.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._slept = 0.0

    def now(self) -> float:
        return self._monotonic() - self._slept

    def woke(self, due: float) -> None:
        """A wait that was to end at ``due`` at the latest has ended."""
        late = self.now() - due
        if late > _BUSY:
            self._slept += late + _GRACE
