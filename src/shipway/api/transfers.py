"""Versions that move: pull and import make one; push, export and verify are asked of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.callers import caller
from shipway.api.endpoint import BOOLEAN, INTEGER, STRING, Endpoint, NoQuery, Schema, array, fields, ref
from shipway.api.operations import EVENTS, operation
from shipway.api.requests import backend, json_object, path_value, query, validated
from shipway.controllers.operations.requests import (
    ExportRequest,
    ImportRequest,
    PullRequest,
    PushRequest,
    RemoteVerifyRequest,
    VerifyRequest,
)
from shipway.errors import UserError
from shipway.kinds.meta import Name


async def add(request: Request) -> Response:
    query(request, NoQuery)
    name, document = path_value(Name, request.path_params["name"]), await json_object(request)
    transfers, by = backend(request).transfers, caller(request)
    if ("reference" in document) == ("path" in document):
        raise UserError(
            f"what should become a version of {name} is not said",
            next_step='Give either "reference" (of a registry) or "path" (of this machine).',
        )
    if "reference" in document:
        pull = validated(PullRequest, document)
        return operation(request, lambda report: transfers.pull(name, pull, by, report))
    files = validated(ImportRequest, document)
    return operation(request, lambda report: transfers.add_files(name, files, by, report))


async def push(request: Request) -> Response:
    name, version = _version(request)
    asked, by = validated(PushRequest, await json_object(request)), caller(request)
    transfers = backend(request).transfers
    return operation(request, lambda report: transfers.push(name, version, asked, by, report))


async def export(request: Request) -> Response:
    name, version = _version(request)
    asked = validated(ExportRequest, await json_object(request))
    transfers = backend(request).transfers
    return operation(request, lambda report: transfers.export(name, version, asked, report))


async def verify(request: Request) -> Response:
    name, version = _version(request)
    validated(VerifyRequest, await json_object(request))
    transfers = backend(request).transfers
    return operation(request, lambda report: transfers.verify(name, version, report))


async def verify_remote(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(RemoteVerifyRequest, await json_object(request))
    transfers = backend(request).transfers
    return operation(request, lambda report: transfers.verify_remote(asked, report))


def _version(request: Request) -> tuple[str, str]:
    query(request, NoQuery)
    return path_value(Name, request.path_params["name"]), request.path_params["reference"]


def _events(result: Schema) -> Mapping[str, Any]:
    return {**EVENTS, "result": result}


_VERSION = {"name": STRING, "version": INTEGER, "digest": STRING}
_VERIFIED = fields(
    what=STRING,
    digest=STRING,
    blobs=INTEGER,
    bytes=INTEGER,
    damage=array(fields(digest=STRING, what=STRING, problem=STRING)),
    signatures=array(STRING),
)
_PATH = "/v1/models/{name}/versions"

ENDPOINTS = (
    Endpoint(
        "POST",
        _PATH,
        add,
        "Pull a version from a registry, or import files of this machine: body with reference, or with path",
        None,
        request={"oneOf": [ref("PullRequest"), ref("ImportRequest")]},
        events=_events(
            fields(
                **_VERSION,
                there=BOOLEAN,
                champion=BOOLEAN,
                trusted=BOOLEAN,
                format=STRING,
                size=INTEGER,
                optional={"reference": STRING},
            )
        ),
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{reference}}/push",
        push,
        "Push a version (number or alias) to a registry",
        None,
        request=ref("PushRequest"),
        events=_events(fields(**_VERSION, reference=STRING, tags=array(STRING))),
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{reference}}/export",
        export,
        "Write a version's files into a folder, or the version as an OCI layout or an archive of one",
        None,
        request=ref("ExportRequest"),
        events=_events(fields(**_VERSION, path=STRING, form=STRING, bytes=INTEGER)),
    ),
    Endpoint(
        "POST",
        f"{_PATH}/{{reference}}/verify",
        verify,
        "Read every byte of a version again",
        None,
        request=ref("VerifyRequest"),
        events=_events(_VERIFIED),
    ),
    Endpoint(
        "POST",
        "/v1/verify",
        verify_remote,
        "Whether a registry holds a version whole",
        None,
        request=ref("RemoteVerifyRequest"),
        events=_events(_VERIFIED),
    ),
)
