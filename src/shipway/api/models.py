"""Models: what there is, page by page; one version with all that is known of it; what differs; names and removals."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.backend import TagRequest, Why
from shipway.api.callers import caller
from shipway.api.endpoint import INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.requests import backend, json_object, path_value, query, validated
from shipway.api.responses import Json, encode
from shipway.kinds import Value
from shipway.kinds.meta import Name

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class PageQuery(Value):
    """``limit``: 0 is all of them; ``before``: only those with a lower number."""

    limit: Count = 50
    before: Count | None = None


class DiffQuery(Value):
    """``to``: the version to compare with, ``NAME:REF`` or only ``REF`` of the same model."""

    to: str
    patch: bool = False


class ByHandQuery(Value):
    """``why``: for the ledger; ``force``: also what is refused otherwise, where that is safe."""

    why: Why = ""
    force: bool = False


async def listed(request: Request) -> Response:
    query(request, NoQuery)
    found = await asyncio.to_thread(backend(request).catalog.models)
    return Json({"models": [one.model_dump(mode="json", by_alias=True) for one in found]})


async def page(request: Request) -> Response:
    asked = query(request, PageQuery)
    name = request.path_params["name"]
    return Json(encode(await asyncio.to_thread(backend(request).catalog.page, name, asked.limit, asked.before)))


async def version(request: Request) -> Response:
    query(request, NoQuery)
    return Json(encode(await asyncio.to_thread(backend(request).catalog.detail, *_version(request))))


async def diff(request: Request) -> Response:
    asked = query(request, DiffQuery)
    name, reference = _version(request)
    other, colon, to = asked.to.rpartition(":")
    after = (other if colon else name), to
    compare = backend(request).catalog.diff
    found = await asyncio.to_thread(compare, (name, reference), after, patches=asked.patch)
    return Json(found.model_dump(mode="json", by_alias=True))


async def tag(request: Request) -> Response:
    query(request, NoQuery)
    name, alias = request.path_params["name"], path_value(Name, request.path_params["alias"])
    asked = validated(TagRequest, await json_object(request))
    move = backend(request).curator.tag
    return _done(await move(name, asked.version, alias, by=caller(request), why=_clean(asked.why), force=asked.force))


async def untag(request: Request) -> Response:
    asked = query(request, ByHandQuery)
    name, alias = request.path_params["name"], request.path_params["alias"]
    take = backend(request).curator.untag
    return _done(await take(name, alias, by=caller(request), why=_clean(asked.why), force=asked.force))


async def remove_version(request: Request) -> Response:
    asked = query(request, ByHandQuery)
    remove = backend(request).curator.remove
    return _done(await remove(*_version(request), by=caller(request), why=_clean(asked.why), force=asked.force))


async def remove_model(request: Request) -> Response:
    query(request, NoQuery)
    return _done(backend(request).curator.remove_model(request.path_params["name"], by=caller(request)))


def _version(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params["reference"]


def _done(result: Any) -> Json:
    return Json(encode(result))


def _clean(why: str) -> str:
    """One line, for the ledger is shown on terminals."""
    return " ".join("".join(one if one.isprintable() else " " for one in why).split())


_NAMED = "/v1/models/{name}"
_ONE = f"{_NAMED}/versions/{{reference}}"
_ALIAS = f"{_NAMED}/aliases/{{alias}}"
_MOVED = fields(model=STRING, alias=STRING, version={"type": ["integer", "null"]}, before={"type": ["integer", "null"]})

ENDPOINTS = (
    Endpoint("GET", "/v1/models", listed, "All models, a line each", fields(models=array(ref("ModelLine")))),
    Endpoint(
        "GET",
        f"{_NAMED}/versions",
        page,
        "The versions of a model, newest first, page by page",
        fields(
            name=STRING,
            count=INTEGER,
            older=INTEGER,
            aliases=OBJECT,
            live=OBJECT,
            versions=array(ref("ModelVersion")),
        ),
        query=PageQuery,
    ),
    Endpoint(
        "GET",
        _ONE,
        version,
        "A version by number or alias: what made it, what it consists of, where it is live, what the ledger says of it",
        fields(
            version=ref("ModelVersion"),
            aliases=array(STRING),
            live=array(STRING),
            lineage=OBJECT,
            contents=ref("Contents"),
            referrers=array(fields(digest=STRING, type=STRING)),
            ledger=array(fields(at=STRING, subject=STRING, reason=STRING, message=STRING)),
        ),
    ),
    Endpoint(
        "GET",
        f"{_ONE}/diff",
        diff,
        "What differs from a version to another: metrics, data, code, packages, files",
        ref("VersionDiff"),
        query=DiffQuery,
    ),
    Endpoint("PUT", _ALIAS, tag, "Let an alias name a version", _MOVED, request=ref("TagRequest")),
    Endpoint("DELETE", _ALIAS, untag, "Take an alias away", _MOVED, query=ByHandQuery),
    Endpoint(
        "DELETE",
        _ONE,
        remove_version,
        "Forget a version that nothing uses; its number never comes again",
        fields(model=STRING, version=INTEGER, digest=STRING, pushed=array(STRING), aliases=array(STRING)),
        query=ByHandQuery,
    ),
    Endpoint(
        "DELETE",
        _NAMED,
        remove_model,
        "Delete a model that no service uses, with all its versions",
        fields(model=STRING, versions=INTEGER),
    ),
)
