"""Models: one version with its lineage and its ledger."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import OBJECT, Endpoint, NoQuery, array, fields, ref
from shipway.api.requests import backend, query
from shipway.api.responses import Json, encode


async def version(request: Request) -> Response:
    query(request, NoQuery)
    name, reference = request.path_params["name"], request.path_params["reference"]
    return Json(encode(await asyncio.to_thread(backend(request).model_detail, name, reference)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/models/{name}/versions/{reference}",
        version,
        "A version by number or alias, what made it and where it was live",
        fields(version=ref("ModelVersion"), lineage=OBJECT, ledger=array(ref("Entry"))),
    ),
)
