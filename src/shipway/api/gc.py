"""The garbage collection: what would go, and that it goes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.backend import CollectRequest
from shipway.api.callers import caller
from shipway.api.endpoint import BOOLEAN, INTEGER, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.operations import EVENTS, operation
from shipway.api.requests import backend, json_object, query, validated


async def collect(request: Request) -> Response:
    query(request, NoQuery)
    asked, by = validated(CollectRequest, await json_object(request)), caller(request)
    collecting = backend(request).collecting
    return operation(request, lambda report: collecting.collect(dry_run=asked.dry_run, by=by, report=report))


_ITEM = fields(what=STRING, reason=STRING, count=INTEGER, bytes=INTEGER, names=array(STRING))

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/gc",
        collect,
        "Delete what nothing needs: blobs, snapshots, downloads cut short, unpacked artifacts",
        None,
        request=ref("CollectRequest"),
        events={
            **EVENTS,
            "result": fields(dryRun=BOOLEAN, bytes=INTEGER, items=array(_ITEM), keptForNow=array(STRING)),
        },
    ),
)
