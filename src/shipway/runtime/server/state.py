"""Where a replica stands in its life; both protocols tell it to whoever asks for its health."""

from __future__ import annotations

import asyncio
from enum import Enum


class Phase(Enum):
    """The value is said to callers."""

    LOADING = "the model is being loaded"
    READY = "ready"
    DRAINING = "this replica is shutting down"


class State:
    """The phase now. Goes forward only."""

    def __init__(self) -> None:
        self.phase = Phase.LOADING
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.phase is Phase.READY

    def loaded(self) -> None:
        """What must be there at the start is loaded and warm."""
        if self.phase is Phase.LOADING:
            self._go_to(Phase.READY)

    def drain(self) -> None:
        """The end has begun."""
        self._go_to(Phase.DRAINING)

    async def until_changed(self) -> None:
        """Return when the phase is another one than it is now."""
        await self._changed.wait()

    def _go_to(self, phase: Phase) -> None:
        self.phase = phase
        self._changed.set()
        self._changed = asyncio.Event()
