"""Several things at once, some at a time, and the first error as it was raised."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(work: Iterable[Coroutine[Any, Any, None]], most: int) -> None:
    """Do all of it, ``most`` at a time, in the order given. One that fails ends the others."""
    room = asyncio.Semaphore(most)

    async def one(what: Coroutine[Any, Any, None]) -> None:
        try:
            async with room:
                await what
        finally:
            what.close()  # ended before its turn

    try:
        async with asyncio.TaskGroup() as group:
            for what in work:
                group.create_task(one(what))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
