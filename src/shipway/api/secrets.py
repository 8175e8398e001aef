"""Secrets: names and keys can be read, values only written."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.endpoint import BINARY, BYTES, STRING, Endpoint, NoQuery, array, fields
from shipway.api.requests import backend, body, path_value, query
from shipway.api.responses import Json
from shipway.kinds.meta import EnvName, Name

_LARGEST = 1024 * 1024  # bytes of one value, as in Kubernetes


async def names(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"secrets": await asyncio.to_thread(backend(request).secrets.names)})


async def put(request: Request) -> Response:
    query(request, NoQuery)
    name, key = _name(request), path_value(EnvName, request.path_params["key"])
    value = await body(request, limit=_LARGEST)
    await asyncio.to_thread(backend(request).secrets.set, name, key, value)
    return Json({"name": name, "key": key})


async def delete_key(request: Request) -> Response:
    query(request, NoQuery)
    name, key = _name(request), path_value(EnvName, request.path_params["key"])
    await asyncio.to_thread(backend(request).secrets.delete, name, key)
    return Json({"name": name, "key": key})


async def delete(request: Request) -> Response:
    query(request, NoQuery)
    name = _name(request)
    await asyncio.to_thread(backend(request).secrets.delete, name, None)
    return Json({"name": name})


def _name(request: Request) -> str:
    return path_value(Name, request.path_params["name"])


_KEY = "/v1/secrets/{name}/{key}"
_NAME_AND_KEY = fields(name=STRING, key=STRING)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/secrets",
        names,
        "Names of secrets and their keys",
        fields(secrets={"type": "object", "additionalProperties": array(STRING)}),
    ),
    Endpoint("PUT", _KEY, put, "Set one value", _NAME_AND_KEY, request=BINARY, request_type=BYTES),
    Endpoint("DELETE", _KEY, delete_key, "Delete one value", _NAME_AND_KEY),
    Endpoint("DELETE", "/v1/secrets/{name}", delete, "Delete a secret", fields(name=STRING)),
)
