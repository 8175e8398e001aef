"""Artifacts: snapshots of sources and inputs, sent once and named by their digest."""

from __future__ import annotations

import asyncio
import tempfile

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import BINARY, STRING, Endpoint, NoQuery, fields
from shipway.api.requests import backend, path_value, query
from shipway.api.responses import Json
from shipway.errors import NotFound
from shipway.kinds.meta import DigestStr


async def has(request: Request) -> Response:
    query(request, NoQuery)
    digest = path_value(DigestStr, request.path_params["digest"])
    if not await asyncio.to_thread(backend(request).artifacts.has, digest):
        raise NotFound(f"there is no artifact {digest}")
    return Json({"digest": digest})


async def store(request: Request) -> Response:
    query(request, NoQuery)
    digest = path_value(DigestStr, request.path_params["digest"])
    services = backend(request)
    if services.uploads is not None:  # the user may have emptied the cache under a running hub
        services.uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=services.uploads) as file:
        async for block in request.stream():
            file.write(block)
        file.seek(0)
        return Json({"digest": await asyncio.to_thread(services.artifacts.store, digest, file)})


_PATH = "/v1/artifacts/{digest}"
_DIGEST = fields(digest=STRING)

ENDPOINTS = (
    Endpoint("GET", _PATH, has, "Whether an artifact is there", _DIGEST),
    Endpoint(
        "PUT",
        _PATH,
        store,
        "Store a snapshot, whose digest is checked",
        _DIGEST,
        request=BINARY,
        request_type="application/x-tar",
    ),
)
