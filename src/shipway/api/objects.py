"""Objects: list, get, put, delete, watch, apply."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from shipway.api.callers import applied, delete_asked
from shipway.api.endpoint import BOOLEAN, INTEGER, OBJECT, STRING, Endpoint, NoQuery, array, fields, ref
from shipway.api.merge import MADE_BY_SHIPWAY, declared, merge, result_of
from shipway.api.requests import Position, Seconds, backend, json_object, kind_of, query
from shipway.api.responses import Event, EventStream, Json, JsonText
from shipway.api.rules import check_cluster, check_removal, missing_image
from shipway.api.wake import Wake, after
from shipway.errors import Conflict, FieldError, InvalidObject, NotFound, UserError
from shipway.kinds import API_VERSION, KINDS, Cluster, ModelJob, Object, Value
from shipway.kinds.job import JobInput
from shipway.kinds.load import object_from_document
from shipway.kinds.meta import Name
from shipway.ports import Change
from shipway.store.notifying import NotifyingStore

ROOT = f"/apis/{API_VERSION}"
_ATTEMPTS = 10  # of one apply against controllers that write status at the same time


class WatchQuery(Value):
    """``since``: version to watch from; ``wait``: seconds of silence after which the stream ends, default never."""

    watch: bool = False
    since: Position = 0
    wait: Seconds | None = None


class DeleteQuery(Value):
    """``force``: also a cluster that services or jobs run on; they go on there, and no hub looks after them."""

    force: bool = False


async def list_all(request: Request) -> Response:
    return _list_or_watch(request, None)


async def list_kind(request: Request) -> Response:
    return _list_or_watch(request, kind_of(request).__name__)


async def get(request: Request) -> Response:
    query(request, NoQuery)
    return Json(backend(request).store.get(*_key(request)).to_json())


async def put(request: Request) -> Response:
    query(request, NoQuery)
    kind, name = _key(request)
    obj = object_from_document(await json_object(request))
    if missing := [*_without_digest(obj), *check_cluster(obj), *missing_image(obj)]:
        raise InvalidObject(missing)
    if obj.key != (kind, name):
        raise UserError(f"the body is {obj.kind} {obj.name!r}, the path says {kind} {name!r}")
    store = backend(request).store
    before = find_object(store, obj)
    after = store.put(obj)
    if result_of(before, after) != "unchanged":
        applied(request, before, after)
    return Json(after.to_json())


async def delete(request: Request) -> Response:
    asked = query(request, DeleteQuery)
    kind, name = _key(request)
    if kind == Cluster.__name__:
        store = backend(request).store
        store.get(kind, name)  # one that is not there is told as such, whoever names it
        running = [*store.list("ModelService")[0], *store.list("ModelJob")[0]]
        check_removal(name, running, force=asked.force)
    gone = backend(request).store.delete(*_key(request))
    delete_asked(request, *gone.key)
    return Json(gone.to_json())


async def apply(request: Request) -> Response:
    query(request, NoQuery)
    body = await json_object(request)
    unknown = sorted(body.keys() - {"objects", "dryRun"})
    documents, dry_run = body.get("objects"), body.get("dryRun", False)
    if unknown or not isinstance(documents, list) or not isinstance(dry_run, bool):
        raise UserError('the body must be {"objects": [...], "dryRun": true or false}')
    return Json({"results": [_applied(request, obj, dry_run=dry_run) for obj in desired_objects(documents)]})


async def changes(
    store: NotifyingStore, since: int, kind: str | None, wait: float | None
) -> AsyncGenerator[Event, None]:
    """The change events of a watch; ends after ``wait`` seconds without one."""
    written = Wake(store.subscribe)
    try:
        deadline = after(wait)
        while True:
            written.clear()
            # All kinds are read, so that a quiet kind's position does not fall out of the change log.
            for change in store.watch(since):
                since = change.version
                if kind in (None, change.object.kind):
                    yield _event(change)
                    deadline = after(wait)
            if not await written.before(deadline):
                return
    finally:
        written.close()


def _list_or_watch(request: Request, kind: str | None) -> Response:
    asked = query(request, WatchQuery)
    store = backend(request).store
    if not asked.watch:
        texts, version = store.texts(kind)
        listed = f'{{"kind":"List","resourceVersion":{version},"items":[{",".join(texts)}]}}'
        return Response(listed, media_type=Json.media_type)
    next(store.watch(asked.since), None)  # says NotFound while there is still a status line to say it with
    return EventStream(request, changes(store, asked.since, kind, asked.wait))


def desired_objects(documents: list[Any], *, images: bool = True) -> list[Object]:
    """All documents validated, before anything is written. Raises InvalidObject with the errors of all. ``images``:
    what is to run on a cluster must name one."""
    found: list[Object] = []
    errors: list[FieldError] = []
    for document in documents:
        try:
            obj = object_from_document(declared(document) if isinstance(document, dict) else document)
        except InvalidObject as error:
            errors.extend(error.errors)
            continue
        errors.extend([*_without_digest(obj), *check_cluster(obj), *(missing_image(obj) if images else ())])
        if obj.key in {one.key for one in found}:
            errors.append(FieldError("metadata.name", f"{obj.kind} {obj.name!r} is there twice"))
        found.append(obj)
    if errors:
        raise InvalidObject(errors)
    return found


def _without_digest(obj: Object) -> list[FieldError]:
    """Inputs of a job that nobody has pinned: a client does that, which knows the folder and asks for the version."""
    if not isinstance(obj, ModelJob):
        return []
    return [
        FieldError(f"spec.inputs.{name}.digest", _told(one)) for name, one in obj.spec.inputs.items() if not one.digest
    ]


def _told(one: JobInput) -> str:
    if one.data is None:
        return f"is missing: the client takes a snapshot of {one.path} and uploads it"
    name, _, number = one.data.partition(":")
    return f"is missing: the client asks for it, GET /v1/data/{name}/versions/{number or 'latest'}"


def _applied(request: Request, desired: Object, *, dry_run: bool) -> dict[str, Any]:
    store = backend(request).store
    stored = find_object(store, desired)
    merged = merge(stored, desired)
    for attempt in range(_ATTEMPTS):
        try:
            after = merged if dry_run else store.put(merged)
            break
        except (Conflict, NotFound):  # a controller wrote, or removed it, between our read and our write
            if attempt == _ATTEMPTS - 1:
                raise
            stored = find_object(store, desired)
            merged = merge(stored, desired)
    result = result_of(stored, merged)
    if result != "unchanged" and not dry_run:
        applied(request, stored, after)
    return {
        "kind": after.kind,
        "name": after.name,
        "result": result,
        "object": after.to_json(),
    }


def find_object(store: NotifyingStore, desired: Object) -> Object | None:
    try:
        return store.get(*desired.key)
    except NotFound:
        return None


def _key(request: Request) -> tuple[str, str]:
    return kind_of(request).__name__, request.path_params["name"]


def _event(change: Change) -> Event:
    # Put together, not parsed and written anew: once for each of the watchers.
    data = f'{{"type":"{change.type}","version":{change.version},"object":{change.text}}}'
    return Event("change", JsonText(data), id=change.version)


_NAMED = f"{ROOT}/{{plural}}/{{name}}"
_LIST = fields(kind={"const": "List"}, resourceVersion=INTEGER, items=array(ref("Object")))
_RESULT = fields(
    kind=STRING, name=STRING, result={"enum": ["created", "configured", "unchanged"]}, object=ref("Object")
)
_CHANGES = {
    "change": fields(type={"enum": ["ADDED", "MODIFIED", "DELETED"]}, version=INTEGER, object=ref("Object")),
}
# What a person writes: what may be in it besides is said by the kind, and the rest (a status) is left out.
_DOCUMENT = fields(
    apiVersion={"const": API_VERSION},
    kind={"enum": [kind for kind in KINDS if kind not in MADE_BY_SHIPWAY]},
    metadata=fields(name=TypeAdapter(Name).json_schema()),
    optional={"spec": OBJECT},
)

ENDPOINTS = (
    Endpoint("GET", ROOT, list_all, "List or watch all objects", _LIST, query=WatchQuery, events=_CHANGES),
    Endpoint(
        "GET", f"{ROOT}/{{plural}}", list_kind, "List or watch one kind", _LIST, query=WatchQuery, events=_CHANGES
    ),
    Endpoint("GET", _NAMED, get, "Read an object", ref("Object")),
    Endpoint(
        "PUT", _NAMED, put, "Create (resourceVersion 0) or replace an object", ref("Object"), request=ref("Object")
    ),
    Endpoint(
        "DELETE", _NAMED, delete, "Delete an object, once its finalizers are gone", ref("Object"), query=DeleteQuery
    ),
    Endpoint(
        "POST",
        "/v1/apply",
        apply,
        "Apply users' documents: all are validated before one is written",
        fields(results=array(_RESULT)),
        request=fields(objects=array(_DOCUMENT), optional={"dryRun": BOOLEAN}),
    ),
)
