"""Several requests side by side, to the end of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any


async def together(awaitables: Iterable[Awaitable[Any]]) -> list[Any]:
    """Their results, in the order given, or the first of their errors.

    ``asyncio.gather`` alone would raise it while the others still ask, on a connection that its catcher may close.
    """
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for one in results:
        if isinstance(one, BaseException):
            raise one
    return results
