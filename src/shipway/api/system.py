"""The hub itself: health, status, workloads, down, shutdown."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.backend import DownRequest
from shipway.api.callers import delete_asked
from shipway.api.endpoint import BOOLEAN, INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.requests import backend, json_object, query, validated
from shipway.api.responses import Json, encode
from shipway.api.rules import placed
from shipway.kinds import Cluster, Object
from shipway.store.notifying import NotifyingStore

# What a user declares and looks at; Revisions and Routes are how Shipway brings it about. Of a cluster it matters
# whether it answers: what is said of its workloads is as old as its last answer.
_SHOWN = ("ModelService", "ModelJob", "Model", "Cluster")

# What makes an object large and no table shows: lists of packages and files, environments, tracebacks.
_LEFT_OUT: dict[str, Any] = {
    "metadata": {"annotations", "finalizers", "uid"},
    "spec": {"requirements", "env", "inputs", "params", "source"},
    "status": {"tail": True, "run": {"components", "declared"}},
}


class StatusQuery(NoQuery):
    """Of one cluster only; without one, of all and with the models."""

    cluster: str | None = None


async def health(request: Request) -> Response:
    query(request, NoQuery)
    services = backend(request)
    return Json({"status": "ok", **services.hub, "gateway": dict(services.gateway_status())})


async def workloads(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"workloads": encode(await backend(request).cluster.list())})


async def status(request: Request) -> Response:
    asked = query(request, StatusQuery)
    services = backend(request)
    objects = [one for kind in _SHOWN for one in services.store.list(kind)[0] if _is_on(asked.cluster, one)]
    state = {"hub": dict(services.hub), "gateway": dict(services.gateway_status())}
    # Put together as text: as data it would be built and written once more, 40 ms of the loop for 500 services.
    shown = f'{json.dumps(state)[:-1]},"objects":[{",".join(map(short, objects))}]}}'
    return Response(shown, media_type=Json.media_type)


async def shutdown(request: Request) -> Response:
    query(request, NoQuery)
    backend(request).shutdown()
    return Json({"status": "stopping"}, status_code=202)


async def down(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(DownRequest, await json_object(request))
    for kind, name in _present(backend(request).store, asked):
        delete_asked(request, kind, name)
    return Json({"deleted": await backend(request).down(asked)})


def short(obj: Object) -> str:
    """The object as JSON, without what only ``get NAME -o json`` needs; every field that stays is where it was."""
    return obj.model_dump_json(by_alias=True, exclude_none=True, exclude=_LEFT_OUT)


def _is_on(cluster: str | None, obj: Object) -> bool:
    if cluster is None:
        return True
    return obj.name == cluster if isinstance(obj, Cluster) else placed(obj) == cluster


def _present(store: NotifyingStore, asked: DownRequest) -> list[tuple[str, str]]:
    """Which objects will go."""
    there = [one.key for kind in ("ModelService", "ModelJob") for one in store.list(kind)[0]]
    wanted = {(one.kind, one.name) for one in asked.objects}
    return [one for one in there if asked.all or one in wanted]


_GATEWAY = fields(url=STRING, live=BOOLEAN, reason=STRING, message=STRING, restarts=INTEGER)
_HUB = fields(version=STRING, pid=INTEGER, home=STRING)
ENDPOINTS = (
    Endpoint(
        "GET",
        "/healthz",
        health,
        "Whether the hub answers, and which one it is",
        fields(status=STRING, version=STRING, pid=INTEGER, home=STRING, gateway=_GATEWAY),
    ),
    Endpoint("GET", "/v1/workloads", workloads, "What runs now", fields(workloads=array(ref("Observed")))),
    Endpoint(
        "GET",
        "/v1/status",
        status,
        "Everything that 'shipway status' shows, in one answer",
        fields(hub=_HUB, gateway=_GATEWAY, objects=array(OBJECT)),
        query=StatusQuery,
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
