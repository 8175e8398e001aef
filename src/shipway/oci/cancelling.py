"""Work in a thread that ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from shipway.transfer import Progress, Report

T = TypeVar("T")


class _GivenUp(Exception):
    """Nobody waits for the work."""


async def in_thread(work: Callable[[Report], T], report: Report) -> T:
    """What ``work`` gives. When this is cancelled, the work ends at its next report, and is over when this returns."""
    given_up = threading.Event()

    def told(progress: Progress) -> None:
        if given_up.is_set():
            raise _GivenUp
        report(progress)

    task = asyncio.ensure_future(asyncio.to_thread(work, told))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        given_up.set()
        await asyncio.wait({task})
        task.exception()  # looked at: it is ours, or of work that nobody waits for
        raise
