"""Clusters: looked at, claimed, compared with what is declared; and ways to services that run there."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from shipway.api.backend import CheckRequest, ClaimRequest, UndoRequest
from shipway.api.callers import caller
from shipway.api.differences import differences
from shipway.api.endpoint import INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.merge import merge, result_of
from shipway.api.objects import desired_objects, find_object
from shipway.api.requests import backend, json_object, path_value, query, validated
from shipway.api.responses import Json, encode
from shipway.api.rules import without_image
from shipway.errors import UserError
from shipway.kinds import LOCAL, ModelJob, ModelService, Object
from shipway.kinds.meta import Name


async def check(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(CheckRequest, await json_object(request))
    if asked.name == LOCAL or asked.spec.type != "kubernetes":
        raise UserError(
            f"cluster {asked.name} is this machine: there is no connection to check",
            next_step="`shipway doctor` looks at this machine.",
        )
    return Json({"findings": encode(await backend(request).check_cluster(asked.spec, asked.name))})


async def claim(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(ClaimRequest, await json_object(request))
    claimed = await backend(request).claim_cluster(_name(request), take_over=asked.take_over, by=caller(request))
    return Json(encode(claimed))


async def diff(request: Request) -> Response:
    query(request, NoQuery)
    body = await json_object(request)
    documents = body.get("objects")
    if body.keys() != {"objects"} or not isinstance(documents, list):
        raise UserError('the body must be {"objects": [...]}')
    store = backend(request).store
    pairs = [(find_object(store, one), one) for one in desired_objects(documents, images=False)]
    told = [_compared(stored, _with_known_image(stored, one)) for stored, one in pairs]
    merged = [merge(stored, _with_known_image(stored, one)) for stored, one in pairs]
    elsewhere = [one for one in merged if not without_image(one)]
    return Json({"objects": told, "clusters": encode(await backend(request).diff(elsewhere))})


async def forward(request: Request) -> Response:
    query(request, NoQuery)
    return Json({"port": await backend(request).forward(_name(request))})


async def undo(request: Request) -> Response:
    query(request, NoQuery)
    asked = validated(UndoRequest, await json_object(request))
    return Json(encode(await backend(request).undo(_name(request), to=asked.to, by=caller(request))))


def _name(request: Request) -> str:
    return path_value(Name, request.path_params["name"])


def _compared(stored: Object | None, desired: Object) -> dict[str, Any]:
    merged = merge(stored, desired)
    note = "its image is built by `shipway up`" if without_image(desired) else ""
    return {
        "kind": merged.kind,
        "name": merged.name,
        "result": result_of(stored, merged),
        "changes": differences(stored, merged),
        "note": note,
    }


def _with_known_image(stored: Object | None, desired: Object) -> Object:
    """An image is what ``up`` makes of all the rest: until then the one that is there stands for it."""
    if not isinstance(desired, ModelJob | ModelService) or not isinstance(stored, type(desired)):
        return desired
    if not without_image(desired) or stored.spec.cluster != desired.spec.cluster:
        return desired
    spec = desired.spec.model_copy(update={"image": stored.spec.image})
    return desired.model_copy(update={"spec": spec})


_FINDING = fields(name=STRING, state={"enum": ["ok", "degraded", "missing"]}, message=STRING, nextStep=STRING)
_CHANGE = fields(field=STRING, **{"from": {}, "to": {}})
_OBJECT_DIFF = fields(
    kind=STRING,
    name=STRING,
    result={"enum": ["created", "configured", "unchanged"]},
    changes=array(_CHANGE),
    note=STRING,
)
_CLUSTER_DIFF = fields(object=STRING, field=STRING, **{"from": {}, "to": {}})
_DECLARED = fields(objects=array(OBJECT))

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/clusters/check",
        check,
        "Try every right and feature of a cluster, added or not, and say what is missing",
        fields(findings=array(_FINDING)),
        request=ref("CheckRequest"),
    ),
    Endpoint(
        "POST",
        "/v1/clusters/{name}/claim",
        claim,
        "Make this hub the only one that writes into the cluster's namespace",
        fields(owner=STRING, before=STRING),
        request=ref("ClaimRequest"),
    ),
    Endpoint(
        "POST",
        "/v1/diff",
        diff,
        "What applying these documents would change, here and in clusters; nothing is changed",
        fields(objects=array(_OBJECT_DIFF), clusters=array(_CLUSTER_DIFF)),
        request=_DECLARED,
    ),
    Endpoint(
        "POST",
        "/v1/services/{name}/forward",
        forward,
        "Open a port of 127.0.0.1 to a service in a cluster",
        fields(port=INTEGER),
    ),
    Endpoint(
        "POST",
        "/v1/services/{name}/undo",
        undo,
        "Declare what an earlier revision of a service was",
        fields(
            service=STRING, **{"from": STRING}, to=STRING, generation=INTEGER, changed=array(STRING), message=STRING
        ),
        request=ref("UndoRequest"),
    ),
)
