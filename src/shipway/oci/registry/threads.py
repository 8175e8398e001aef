"""Work in a thread that is over when its caller is.

``asyncio.to_thread``, when it is cancelled, leaves its thread running: it would write into files that its caller is
closing, or that somebody else opened meanwhile under the same number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


async def in_thread(function: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
    """Call it in a thread. Cancelled, it returns when the thread is done; what that gave is closed, if it can be."""
    work = asyncio.get_running_loop().run_in_executor(None, partial(function, *arguments, **named))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if work.exception() is None and hasattr(lost := work.result(), "close"):
            lost.close()
        raise
