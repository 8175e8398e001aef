"""Signatures of a version: bundles, which the hub keeps and does not judge."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.callers import caller
from shipway.api.endpoint import INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields
from shipway.api.requests import backend, body, path_value, query
from shipway.api.responses import Json
from shipway.kinds.meta import Name
from shipway.signing import LARGEST


async def listed(request: Request) -> Response:
    return Json(await backend(request).signatures.listed(*_version(request)))


async def attach(request: Request) -> Response:
    name, version = _version(request)
    data = await body(request, limit=LARGEST)
    return Json(await backend(request).signatures.attach(name, version, data, caller(request)))


def _version(request: Request) -> tuple[str, str]:
    query(request, NoQuery)
    return path_value(Name, request.path_params["name"]), request.path_params["reference"]


_PATH = "/v1/models/{name}/versions/{reference}/signatures"
_VERSION = {"name": STRING, "version": INTEGER, "digest": STRING}

ENDPOINTS = (
    Endpoint(
        "GET",
        _PATH,
        listed,
        "The digest of a version (number or alias), and the sigstore bundles beside it, each in base64",
        fields(**_VERSION, signatures=array(STRING)),
    ),
    Endpoint(
        "POST",
        _PATH,
        attach,
        "Attach a sigstore bundle that signs the version's digest; it is pushed and pulled with it",
        fields(**_VERSION, referrer=STRING),
        request=OBJECT,
    ),
)
