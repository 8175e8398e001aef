"""Writing an answer: JSON, errors as JSON, and event streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shipway.errors import PlatformError, ShipwayError

HEARTBEAT = 15.0  # seconds between two comments of a silent stream


class Json(Response):
    """JSON in ASCII. NaN and the infinities are written as Python's json does: metrics of diverged runs have them."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class JsonText(str):
    """JSON that is written already, in one line: sent as it is."""

    __slots__ = ()


def error_response(error: ShipwayError, *, status: int | None = None) -> Json:
    """The error as the contract says: ``{"error": {code, message, nextStep}}``."""
    return Json({"error": error.to_json()}, status_code=status or error.http_status)


def encode(value: object) -> Any:
    """Dataclasses (of ports and bundle) as JSON data: field names in camelCase, times in ISO 8601 with Z."""
    if is_dataclass(value) and not isinstance(value, type):
        return {to_camel(one.name): encode(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event; ``data`` is JSON-ready or a JsonText, ``id`` is where a reader can go on from."""

    event: str
    data: Any
    id: int | None = None

    def frame(self) -> bytes:
        """The event on the wire."""
        head = f"event: {self.event}\n" + (f"id: {self.id}\n" if self.id is not None else "")
        data = self.data if isinstance(self.data, JsonText) else json.dumps(self.data, separators=(",", ":"))
        return f"{head}data: {data}\n\n".encode()


class EventStream(Response):
    """Sends events as they come, a comment when none comes, and ends when the source or the hub does.

    Not starlette's StreamingResponse: that leaves its source to the garbage collector when the
    client goes away, and subscriptions and log readers must end at once.
    """

    media_type = "text/event-stream"

    def __init__(self, request: Request, source: AsyncGenerator[Event, None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._source = source
        self._stop: asyncio.Event = request.app.state.stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        over = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(self._stop.wait())]
        upcoming = asyncio.ensure_future(self._next())
        try:
            frame: bytes | None = b": hello\n\n"
            while frame is not None:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
                await asyncio.wait({*over, upcoming}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                if any(one.done() for one in over):
                    break
                frame = b": still here\n\n"
                if upcoming.done():
                    frame = upcoming.result()
                    upcoming = asyncio.ensure_future(self._next())
        finally:
            for task in (*over, upcoming):
                task.cancel()
            await asyncio.gather(*over, upcoming, return_exceptions=True)
            await self._source.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes | None:
        try:
            event = await anext(self._source, None)
        except ShipwayError as error:
            return Event("error", {"error": error.to_json()}).frame()
        except Exception as error:
            # The status line is out: an error can only be told inside the stream.
            told = PlatformError(f"{type(error).__name__}: {error}", next_step="Please report it, with hub.log.")
            return Event("error", {"error": told.to_json()}).frame()
        return None if event is None else event.frame()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
