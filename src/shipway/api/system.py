"""The hub itself: health, status, workloads, down, shutdown."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.backend import Backend, DownRequest
from shipway.api.endpoint import INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.requests import backend, json_object, query, validated
from shipway.api.responses import Json, encode

# What makes an object large and no table shows: lists of packages and files, environments, tracebacks.
_LEFT_OUT_OF_SPEC = frozenset({"requirements", "env", "inputs", "params", "source", "template"})
_LEFT_OUT_OF_STATUS = frozenset({"tail"})
_LEFT_OUT_OF_METADATA = frozenset({"annotations", "finalizers", "uid"})
_LEFT_OUT_OF_RUN = frozenset({"components"})


async def health(request: Request) -> Response:
    query(request, NoQuery)
    services = backend(request)
    return Json({"status": "ok", **services.hub, "gateway": dict(services.gateway_status())})


async def workloads(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"workloads": await _workloads(backend(request))})


async def status(request: Request) -> Response:
    query(request, NoQuery)
    services = backend(request)
    objects, version = services.store.list()
    return Json(
        {
            "hub": dict(services.hub),
            "gateway": dict(services.gateway_status()),
            "resourceVersion": version,
            "objects": [slim(one.to_json()) for one in objects],
            "workloads": await _workloads(services),
        }
    )


async def shutdown(request: Request) -> Response:
    query(request, NoQuery)
    backend(request).shutdown()
    return Json({"status": "stopping"}, status_code=202)


async def down(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(DownRequest, await json_object(request))
    return Json({"deleted": await backend(request).down(asked)})


def slim(document: dict[str, Any]) -> dict[str, Any]:
    """The object without what only ``get NAME -o json`` needs; every field that stays is where it was."""
    metadata = _without(document["metadata"], _LEFT_OUT_OF_METADATA)
    status = _without(document["status"], _LEFT_OUT_OF_STATUS)
    if "run" in status:
        status["run"] = _without(status["run"], _LEFT_OUT_OF_RUN)
    return {**document, "metadata": metadata, "spec": _without(document["spec"], _LEFT_OUT_OF_SPEC), "status": status}


def _without(document: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


async def _workloads(services: Backend) -> Any:
    return encode(await services.cluster.list())


_GATEWAY = fields(url=STRING, state=STRING)
_HUB = fields(version=STRING, pid=INTEGER, home=STRING)
_WORKLOADS = array(ref("Observed"))

ENDPOINTS = (
    Endpoint(
        "GET",
        "/healthz",
        health,
        "Whether the hub answers, and which one it is",
        fields(status=STRING, version=STRING, pid=INTEGER, home=STRING, gateway=_GATEWAY),
    ),
    Endpoint("GET", "/v1/workloads", workloads, "What runs now", fields(workloads=_WORKLOADS)),
    Endpoint(
        "GET",
        "/v1/status",
        status,
        "Everything that 'shipway status' shows, in one answer",
        fields(hub=_HUB, gateway=_GATEWAY, resourceVersion=INTEGER, objects=array(OBJECT), workloads=_WORKLOADS),
    ),
    Endpoint("POST", "/v1/shutdown", shutdown, "End the hub; workloads go on", fields(status=STRING), status=202),
    Endpoint(
        "POST",
        "/v1/down",
        down,
        "Delete what runs; answers when no process is left",
        fields(deleted=array(STRING)),
        request=ref("DownRequest"),
    ),
)
