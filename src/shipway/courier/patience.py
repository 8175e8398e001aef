"""How long a courier goes on trying: a registry that restarts or has too much to do must not cost a day of training."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shipway.errors import RegistryBroken, RegistryUnreachable

_T = TypeVar("_T")

Say = Callable[[str], None]
"""Takes a line for the container's log."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. Beyond what the client of registries tries by itself, which is two minutes without progress."""

    longest: float = 900.0  # waited, all together
    first: float = 5.0
    most: float = 60.0  # of one wait

    async def persist(self, what: str, work: Callable[[], Awaitable[_T]], say: Say) -> _T:
        """Do it until it succeeds or is refused. Raises RegistryUnreachable or RegistryBroken when the time is over."""
        waited, pause = 0.0, self.first
        while True:
            try:
                return await work()
            except (RegistryUnreachable, RegistryBroken) as error:
                if waited + pause > self.longest:
                    raise
                say(f"{what}: {error.message}; again in {pause:.0f} s")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, self.most)
