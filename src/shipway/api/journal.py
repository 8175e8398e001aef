"""The journal: entries (once or followed) and metric points."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import EVENTS, JSON, Endpoint, array, fields, ref
from shipway.api.requests import Position, backend, kind_of, query
from shipway.api.responses import Event, EventStream, Json, encode
from shipway.api.wake import Wake
from shipway.journal.notifying import NotifyingJournal
from shipway.kinds import Value


class JournalQuery(Value):
    """Entries with id > ``after``; ``limit`` is the most in one answer, and no limit when following."""

    after: Position = 0
    subject: str | None = None
    type: Literal["decision", "event", "ledger"] | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    follow: bool = False


class PointsQuery(Value):
    """Points with id > ``after``, of one run or of all."""

    run: str | None = None
    after: Position = 0


async def entries(request: Request) -> Response:
    asked = query(request, JournalQuery)
    journal = backend(request).journal
    if asked.follow:
        return EventStream(request, _followed(journal, asked))
    found = journal.entries(after=asked.after, subject=asked.subject, type=asked.type, limit=asked.limit)
    return Json({"entries": encode(found)})


async def points(request: Request) -> Response:
    asked = query(request, PointsQuery)
    subject = f"{kind_of(request).__name__}/{request.path_params['name']}"
    return Json({"points": encode(backend(request).journal.points(subject, run=asked.run, after=asked.after))})


async def _followed(journal: NotifyingJournal, asked: JournalQuery) -> AsyncGenerator[Event, None]:
    after = asked.after
    written = Wake(journal.subscribe)
    try:
        while True:
            written.clear()
            found = journal.entries(after=after, subject=asked.subject, type=asked.type, limit=asked.limit)
            for entry in found:
                after = entry.id
                yield Event("entry", encode(entry), id=entry.id)
            if not found:
                await written.before(None)
    finally:
        written.close()


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/journal",
        entries,
        "Decisions, events and the ledger, oldest first",
        fields(entries=array(ref("Entry"))),
        query=JournalQuery,
        response_types=(JSON, EVENTS),
    ),
    Endpoint(
        "GET",
        "/v1/metrics/{plural}/{name}",
        points,
        "Values that training code logged",
        fields(points=array(ref("MetricPoint"))),
        query=PointsQuery,
    ),
)
