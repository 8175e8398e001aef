"""Logs: the lines of an object's workloads as an event stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import STRING, Endpoint, fields, ref
from shipway.api.requests import backend, kind_of, query
from shipway.api.responses import Event, EventStream, encode
from shipway.bundle import LogLine
from shipway.kinds import Value


class LogsQuery(Value):
    """``tail``: only the last so many lines; ``follow``: go on with those that come."""

    follow: bool = False
    tail: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


async def logs(request: Request) -> Response:
    asked = query(request, LogsQuery)
    kind, name = kind_of(request).__name__, request.path_params["name"]
    services = backend(request)
    services.store.get(kind, name)  # says NotFound while there is still a status line to say it with
    return EventStream(request, _lines(services.logs(kind, name, follow=asked.follow, tail=asked.tail)))


async def _lines(source: AsyncIterator[tuple[str, LogLine]]) -> AsyncGenerator[Event, None]:
    try:
        async for workload, line in source:
            yield Event("line", {**encode(line), "workload": workload})
    finally:
        if isinstance(source, AsyncGenerator):  # ends its reading now, not when it is collected
            await source.aclose()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/logs/{plural}/{name}",
        logs,
        "Lines of all workloads of an object, oldest first",
        None,
        query=LogsQuery,
        events={"line": {"allOf": [ref("LogLine"), fields(workload=STRING)]}},
    ),
)
