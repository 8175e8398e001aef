"""Why: the story of an object in sentences, and where the versions of a model were live."""

from __future__ import annotations

import asyncio

from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import Endpoint, ref
from shipway.api.requests import backend, kind_of, query
from shipway.api.responses import Json, encode
from shipway.kinds import Value


class WhyQuery(Value):
    """``since``: what happened before is left out."""

    since: AwareDatetime | None = None


async def why(request: Request) -> Response:
    asked = query(request, WhyQuery)
    kind, name = kind_of(request).__name__, request.path_params["name"]
    return Json(encode(await asyncio.to_thread(backend(request).stories.why, kind, name, asked.since)))


class HistoryQuery(Value):
    """``at``: only what held at that time."""

    at: AwareDatetime | None = None


async def history(request: Request) -> Response:
    at = query(request, HistoryQuery).at
    return Json(encode(await asyncio.to_thread(backend(request).stories.history, request.path_params["name"], at)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/why/{plural}/{name}",
        why,
        "What happened to an object and why, what holds now, and what to do next; also of one that was deleted",
        ref("Story"),
        query=WhyQuery,
    ),
    Endpoint(
        "GET",
        "/v1/models/{name}/history",
        history,
        "When the versions of a model were live, champion or had another alias, and what else happened to them",
        ref("History"),
        query=HistoryQuery,
    ),
)
