"""Data sets: versions that are added, pulled, pushed, written out, compared and removed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.callers import caller
from shipway.api.endpoint import BOOLEAN, INTEGER, STRING, Endpoint, NoQuery, Schema, array, fields, ref
from shipway.api.operations import EVENTS, operation
from shipway.api.requests import backend, json_object, path_value, query, validated
from shipway.api.responses import Json, encode
from shipway.controllers.operations.data import DataAddRequest, DataPullRequest, DataWriteRequest
from shipway.controllers.operations.requests import PushRequest
from shipway.kinds.meta import Name


class AgainstQuery(NoQuery):
    """The version to compare with."""

    against: str


async def latest(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"versions": encode(await asyncio.to_thread(backend(request).data.latest))})


async def versions(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"versions": encode(await asyncio.to_thread(backend(request).data.versions, _name(request)))})


async def version(request: Request) -> Response:
    return Json({"version": encode(await asyncio.to_thread(backend(request).data.resolve, _version(request)))})


async def files(request: Request) -> Response:
    return Json({"files": encode(await asyncio.to_thread(backend(request).data.files, _version(request)))})


async def diff(request: Request) -> Response:
    asked, after = query(request, AgainstQuery), f"{_name(request)}:{request.path_params['reference']}"
    return Json(encode(await asyncio.to_thread(backend(request).data.difference, asked.against, after)))


async def add(request: Request) -> Response:
    query(request, NoQuery)
    name, document = _name(request), await json_object(request)
    data, by = backend(request).data, caller(request)
    if "reference" in document:
        pull = validated(DataPullRequest, document)
        return operation(request, lambda report: data.pull(name, pull, by, report))
    asked = validated(DataAddRequest, document)
    return operation(request, lambda report: data.add(name, asked, by, report))


async def push(request: Request) -> Response:
    reference, data, by = _version(request), backend(request).data, caller(request)
    asked = validated(PushRequest, await json_object(request))
    return operation(request, lambda report: data.push(reference, asked, by, report))


async def write(request: Request) -> Response:
    reference, data = _version(request), backend(request).data
    asked = validated(DataWriteRequest, await json_object(request))
    return operation(request, lambda report: data.write(reference, asked, report))


async def remove(request: Request) -> Response:
    return Json({"removed": list(await backend(request).data.remove(_version(request), caller(request)))})


async def remove_all(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"removed": list(await backend(request).data.remove(_name(request), caller(request)))})


def _name(request: Request) -> str:
    return path_value(Name, request.path_params["name"])


def _version(request: Request) -> str:
    query(request, NoQuery)
    return f"{_name(request)}:{request.path_params['reference']}"


def _events(**result: Schema) -> Mapping[str, Any]:
    return {**EVENTS, "result": fields(**result)}


_THIS: Mapping[str, Schema] = {"name": STRING, "version": INTEGER, "digest": STRING}
_COUNTS: Mapping[str, Schema] = {"files": INTEGER, "bytes": INTEGER}
_CHANGES = array(ref("FileChange"))
_DATA = "/v1/data"
_NAME = f"{_DATA}/{{name}}"
_VERSIONS = f"{_NAME}/versions"
_VERSION = f"{_VERSIONS}/{{reference}}"

ENDPOINTS = (
    Endpoint("GET", _DATA, latest, "The latest version of every data set", fields(versions=array(ref("DataVersion")))),
    Endpoint("GET", _VERSIONS, versions, "The versions of a data set", fields(versions=array(ref("DataVersion")))),
    Endpoint("GET", _VERSION, version, "A version (number or latest)", fields(version=ref("DataVersion"))),
    Endpoint("GET", f"{_VERSION}/files", files, "The files of a version", fields(files=array(ref("DataFile")))),
    Endpoint(
        "GET",
        f"{_VERSION}/diff",
        diff,
        "What a version has that another (against=NAME[:N]) has not, and the other way round",
        fields(added=_CHANGES, removed=_CHANGES, changed=_CHANGES, unchanged=INTEGER, newBytes=INTEGER),
        query=AgainstQuery,
    ),
    Endpoint(
        "POST",
        _VERSIONS,
        add,
        "Add files of this machine or of an object store, or pull a version: body with path, uri or reference",
        None,
        request={"oneOf": [ref("DataAddRequest"), ref("DataPullRequest")]},
        events=_events(**_THIS, **_COUNTS, there=BOOLEAN, latest=INTEGER, kept=BOOLEAN),
    ),
    Endpoint(
        "POST",
        f"{_VERSION}/push",
        push,
        "Push a version of a data set to a registry",
        None,
        request=ref("PushRequest"),
        events=_events(**_THIS, reference=STRING, tags=array(STRING)),
    ),
    Endpoint(
        "POST",
        f"{_VERSION}/write",
        write,
        "Write the files of a version into a folder of this machine, verified",
        None,
        request=ref("DataWriteRequest"),
        events=_events(**_THIS, **_COUNTS, path=STRING, there=INTEGER),
    ),
    Endpoint("DELETE", _NAME, remove_all, "Forget a data set with all its versions", fields(removed=array(STRING))),
    Endpoint("DELETE", _VERSION, remove, "Forget one version of a data set", fields(removed=array(STRING))),
)
