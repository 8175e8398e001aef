"""The journal: entries (once or followed) and metric points."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import Endpoint, array, fields, ref
from shipway.api.requests import Position, backend, kind_of, path_value, query
from shipway.api.responses import Event, EventStream, Json, encode
from shipway.api.wake import Wake
from shipway.errors import UserError
from shipway.journal.notifying import NotifyingJournal
from shipway.kinds import Value
from shipway.kinds.meta import Name
from shipway.ports import Entry


class JournalQuery(Value):
    """Entries with ``after`` < id < ``before``, not older than ``since``, oldest first.

    ``limit`` is the most in one answer, and no limit when following. With ``newest`` the answer holds (following
    begins with) the last ``limit`` ones.
    """

    after: Position = 0
    before: Position | None = None
    subject: str | None = None
    type: Literal["decision", "event", "ledger"] | None = None
    since: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    newest: bool = False
    follow: bool = False


class PointsQuery(Value):
    """Points with id > ``after``, of one run or of all."""

    run: str | None = None
    after: Position = 0


async def entries(request: Request) -> Response:
    asked = query(request, JournalQuery)
    journal = backend(request).journal
    if asked.follow:
        if asked.before is not None:
            raise UserError("follow has no end: it does not go with before", next_step="Give one of the two.")
        return EventStream(request, _followed(journal, asked))
    return Json({"entries": encode(_read(journal, asked, after=asked.after, newest=asked.newest))})


async def points(request: Request) -> Response:
    asked = query(request, PointsQuery)
    subject = f"{kind_of(request).__name__}/{path_value(Name, request.path_params['name'])}"
    return Json({"points": encode(backend(request).journal.points(subject, run=asked.run, after=asked.after))})


async def _followed(journal: NotifyingJournal, asked: JournalQuery) -> AsyncGenerator[Event, None]:
    after, newest = asked.after, asked.newest
    written = Wake(journal.subscribe)
    try:
        while True:
            written.clear()
            found = _read(journal, asked, after=after, newest=newest)
            for entry in found:
                after, newest = entry.id, False
                yield Event("entry", encode(entry), id=entry.id)
            if not found:
                await written.before(None)
    finally:
        written.close()


def _read(journal: NotifyingJournal, asked: JournalQuery, *, after: int, newest: bool) -> list[Entry]:
    return journal.entries(
        after=after,
        before=asked.before,
        subject=asked.subject,
        type=asked.type,
        since=asked.since,
        limit=asked.limit,
        newest=newest,
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/journal",
        entries,
        "Decisions, events and the ledger, oldest first",
        fields(entries=array(ref("Entry"))),
        query=JournalQuery,
        events={"entry": ref("Entry")},
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
