"""Answers of a model that streams, as server-sent events.

Source: HTML Living Standard, "Server-sent events"; Triton's extension "Generate": an error after the head is an event.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

import msgspec

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.http.connection import Connection
from shipway.runtime.server.http.messages import Headers
from shipway.runtime.server.refusals import Reason, Refused

Outputs = Mapping[str, Array]

HEADERS: Headers = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),  # nginx collects answers otherwise
)
_BEAT = 5.0  # seconds; the second comment after a client went away is what finds out
_COMMENT = b":\n\n"
_END = b"event: end\ndata: {}\n\n"


async def answer(
    exchange: Connection,
    headers: Headers,
    outputs: AsyncIterator[Outputs],
    encode: Callable[[Outputs], bytes],
    expires: float,
) -> tuple[int, int]:
    """Send all outputs, each asked for when the one before was taken, and the event ``end``; or instead of that an
    event ``{"error": message}``. Returns the code, as if it could still be told, and the bytes sent.

    Raises Refused and BadInput as long as nothing was sent, and Refused CANCELLED when the client went away. In
    any case ``outputs`` is closed, if it is a generator.
    """
    begun = False
    code, last, sent = 200, _END, 0
    async with contextlib.aclosing(_with_beats(outputs, expires)) as events:
        try:
            async for event in events:
                piece = _COMMENT if event is None else b"data: %b\n\n" % encode(event)
                if not begun:
                    begun = True
                    exchange.begin(200, headers)
                await exchange.send(piece)
                sent += len(piece)
        except (BadInput, Refused) as error:
            if not begun or (isinstance(error, Refused) and error.reason is Reason.CANCELLED):
                raise
            code = error.reason.value.http if isinstance(error, Refused) else 400
            last = b"data: %b\n\n" % msgspec.json.encode({"error": str(error)})
        if not begun:
            exchange.begin(200, headers)
        await exchange.send(last)
    exchange.finish()
    return code, sent + len(last)


async def _with_beats(outputs: AsyncIterator[Outputs], expires: float) -> AsyncGenerator[Outputs | None, None]:
    """The outputs, and None whenever none came for a while. Raises Refused EXPIRED, and what ``outputs`` raises."""
    step: asyncio.Future[Outputs] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(outputs))
            while not step.done():
                left = expires - time.monotonic()
                if left <= 0:
                    raise Refused(Reason.EXPIRED, "the deadline passed before the stream had ended")
                await asyncio.wait({step}, timeout=min(_BEAT, left))
                if not step.done() and left > _BEAT:
                    yield None
            try:
                yield step.result()
            except StopAsyncIteration:
                return
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        if isinstance(outputs, AsyncGenerator):
            await outputs.aclose()
