"""Long work that a person asks for and waits for: its progress as events, its result as the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request

from shipway.api.endpoint import INTEGER, OBJECT, STRING, Schema, fields
from shipway.api.responses import Event, EventStream, encode
from shipway.transfer import Progress, Report

_PAUSE = 0.1  # seconds: nobody reads faster, and a transfer reports thousands of times a second

EVENTS: Mapping[str, Schema] = {
    "progress": fields(what=STRING, done=INTEGER, note=STRING, total={"type": ["integer", "null"]}),
    "result": OBJECT,
}

Work = Callable[[Report], Awaitable[Mapping[str, Any]]]


def operation(request: Request, work: Work) -> EventStream:
    """Do the work while its caller listens, and give it up when the caller goes away: it can be asked for again.

    Of reports about one part only the newest is sent, at most ten times a second. ``work`` may report from any
    thread; an error of the tree that it raises ends the stream as its last event.
    """
    return EventStream(request, _events(work))


async def _events(work: Work) -> AsyncGenerator[Event, None]:
    news: dict[str, Progress] = {}
    task = asyncio.ensure_future(work(lambda progress: news.update({progress.what: progress})))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_PAUSE)
            for what in list(news):
                yield Event("progress", encode(news.pop(what)))
        yield Event("result", encode(task.result()))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
