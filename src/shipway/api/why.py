"""Why: the story of an object in sentences, and where the versions of a model were live."""

from __future__ import annotations

import asyncio

from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import Endpoint, NoQuery, array, fields, ref
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


async def history(request: Request) -> Response:
    query(request, NoQuery)
    told = await asyncio.to_thread(backend(request).stories.history, request.path_params["name"])
    return Json({"tenures": encode(told)})


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
        "Where and when the versions of a model were live, by whom and why, oldest first",
        fields(tenures=array(ref("Tenure"))),
    ),
)
