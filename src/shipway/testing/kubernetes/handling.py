"""From a request to its answer: rights, faults, and the verb's own work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import yaml
from aiohttp import web

from shipway.testing.kubernetes import answers, patches
from shipway.testing.kubernetes.access import Access
from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.faults import Faults
from shipway.testing.kubernetes.pods import Logs
from shipway.testing.kubernetes.reads import Reads
from shipway.testing.kubernetes.routes import Route, discovery, known_group, route
from shipway.testing.kubernetes.schema import Schema
from shipway.testing.kubernetes.storage import Object, Storage
from shipway.testing.kubernetes.writes import Target, Writes


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as tests look back at it. ``verb`` is Kubernetes' own; of ``/version`` and the like it is "get"."""

    verb: str
    path: str
    query: Mapping[str, str]
    content_type: str = ""
    body: Any = None


class Parts(Protocol):
    """What of the server this needs."""

    schema: Schema
    storage: Storage
    writes: Writes
    reads: Reads
    logs: Logs
    faults: Faults
    access: Access
    requests: list[Asked]


class Handling:
    """A handler for aiohttp."""

    def __init__(self, parts: Parts, about: Mapping[str, Any]) -> None:
        self._parts = parts
        self._about = about

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        query = dict(request.query)
        try:
            asked = self._asked(request, query, body)
            return await self._with_faults(request, asked)
        except Refusal as refusal:
            return _json(refusal.status(), refusal.code, refusal.headers)

    def _asked(self, request: web.BaseRequest, query: dict[str, str], body: bytes) -> Asked:
        verb = "get"
        try:
            if discovery(self._parts.schema, request.path, self._about) is None:
                verb = route(self._parts.schema, request.method, request.path, query).verb
        except (Refusal, IndexError):
            verb = "get"  # told below, when it has been counted
        asked = Asked(verb, request.path, query, request.content_type, _parsed(body))
        self._parts.requests.append(asked)
        return asked

    async def _with_faults(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        strike = self._parts.faults.strike
        if slow := strike(asked.verb, asked.path, lambda one: one.delay > 0):
            await asyncio.sleep(slow.delay)
        wrong = strike(asked.verb, asked.path, lambda one: one.reset or one.refusal is not None)
        if wrong is None or wrong.afterwards:
            answer = await self._answer(request, asked)
        if wrong is None:
            return answer
        if wrong.refusal is not None:
            raise wrong.refusal
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _answer(self, request: web.BaseRequest, asked: Asked) -> web.StreamResponse:
        if asked.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if not self._parts.access.knows(request.headers.get("Authorization", "")):
            raise answers.unauthorized()
        if asked.path.strip("/").partition("/")[0] not in ("api", "apis", "version"):
            return _no_page()
        if (said := discovery(self._parts.schema, asked.path, self._about)) is not None:
            return _json(said)
        if not known_group(self._parts.schema, asked.path):
            return _no_page()
        at = route(self._parts.schema, request.method, asked.path, asked.query)
        self._authorize(at)
        if at.verb == "watch":
            return await self._watch(request, at, asked)
        if at.subresource == "log":
            return await self._log(request, at, asked)
        return self._verb(at, asked, _manager(request, asked))

    def _authorize(self, at: Route) -> None:
        access = self._parts.access
        access.asked.append((at.verb, at.resource, at.name))
        if not access.allows(at.verb, at.kind.group, at.resource, at.namespace, at.name):
            raise answers.may_not(at.kind, at.name, access.user, at.verb, at.namespace, at.subresource)

    def _verb(self, at: Route, asked: Asked, manager: str) -> web.Response:
        reviews = {
            "selfsubjectaccessreviews": self._parts.access.review,
            "selfsubjectrulesreviews": self._parts.access.rules_review,
        }
        if at.kind.plural in reviews:
            return _json(reviews[at.kind.plural](asked.body), 201)
        target = Target(
            at.kind,
            at.namespace,
            at.name,
            manager,
            at.subresource,
            dry_run=asked.query.get("dryRun") == "All",
            force=asked.query.get("force") == "true",
            validation=asked.query.get("fieldValidation", "Warn"),
        )
        code, answer = self._done(at, asked, target)
        warnings = ", ".join(f'299 - "{one.replace(chr(34), chr(92) + chr(34))}"' for one in target.warnings)
        return _json(answer, code, {"Warning": warnings} if warnings else {})

    def _done(self, at: Route, asked: Asked, target: Target) -> tuple[int, Object]:
        writes, reads = self._parts.writes, self._parts.reads
        if at.subresource == "scale":
            return 200, self._scale(at, asked, target)
        match at.verb:
            case "get":
                return 200, writes.live(target)
            case "list":
                return 200, reads.list(at.kind, at.namespace, asked.query)
            case "create":
                return 201, writes.create(target, asked.body)
            case "update":
                return 200, writes.update(target, asked.body)
            case "patch":
                return self._patch(asked, target)
            case "delete":
                return self._delete(asked, target)
            case _:
                return 200, self._delete_all(at, asked, target)

    def _patch(self, asked: Asked, target: Target) -> tuple[int, Object]:
        if asked.content_type == patches.APPLY:
            if not asked.query.get("fieldManager"):
                raise answers.no_field_manager()
            obj, new = self._parts.writes.apply(target, asked.body)
            return 201 if new else 200, obj
        if asked.content_type not in patches.ALL:
            raise answers.unsupported_media()
        schema, type = self._parts.schema, target.kind.type
        obj = self._parts.writes.change(
            target, lambda live: patches.patched(schema, type, asked.content_type, live, asked.body)
        )
        return 200, obj

    def _delete(self, asked: Asked, target: Target) -> tuple[int, Object]:
        options = {**asked.query, **(asked.body or {})}
        obj, gone = self._parts.writes.delete(target, options)
        if not gone:
            return 200, obj
        if target.kind.plural == "pods":
            return 200, obj
        details = {"name": target.name, "group": target.kind.group, "kind": target.kind.plural}
        details["uid"] = obj["metadata"]["uid"]
        details = {name: value for name, value in details.items() if value}
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return 200, done

    def _delete_all(self, at: Route, asked: Asked, target: Target) -> Object:
        found = self._parts.reads.list(at.kind, at.namespace, asked.query)
        for one in found["items"]:
            metadata = one["metadata"]
            each = Target(at.kind, metadata.get("namespace", ""), metadata["name"], dry_run=target.dry_run)
            self._parts.writes.delete(each, {**asked.query, **(asked.body or {})})
        return found

    def _scale(self, at: Route, asked: Asked, target: Target) -> Object:
        writes = self._parts.writes

        def put(obj: Object) -> None:
            wanted = asked.body
            if at.verb == "patch":
                wanted = patches.merged(_scale_of(obj), asked.body)
            obj["spec"]["replicas"] = wanted["spec"].get("replicas", 0)

        return _scale_of(writes.live(target) if at.verb == "get" else writes.change(target, put))

    async def _watch(self, request: web.BaseRequest, at: Route, asked: Asked) -> web.StreamResponse:
        query = {**asked.query, "fieldSelector": f"metadata.name={at.name}"} if at.name else asked.query
        events = self._parts.reads.watch(at.kind, at.namespace, query)
        lines = (json.dumps(event).encode() + b"\n" async for event in events)
        return await self._stream(request, asked, lines, "application/json")

    async def _log(self, request: web.BaseRequest, at: Route, asked: Asked) -> web.StreamResponse:
        pod = self._parts.writes.live(Target(at.kind, at.namespace, at.name))
        return await self._stream(request, asked, self._parts.logs.read(pod, asked.query), "text/plain")

    async def _stream(
        self, request: web.BaseRequest, asked: Asked, lines: AsyncIterator[bytes], content_type: str
    ) -> web.StreamResponse:
        cut = self._parts.faults.strike(asked.verb, asked.path, lambda one: one.events is not None)
        left = cut.events if cut is not None else None
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the client has enough
            while left != 0 and (line := await anext(lines, None)) is not None:
                await response.write(line)
                left = None if left is None else left - 1
        if left == 0 and request.transport is not None:
            request.transport.abort()
        return response


def _scale_of(obj: Object) -> Object:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: obj["metadata"][name] for name in kept if name in obj["metadata"]}
    labels = obj["spec"].get("selector", {}).get("matchLabels", {})
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    replicas = {"replicas": obj["spec"]["replicas"]} if obj["spec"].get("replicas") else {}
    status = {"replicas": obj.get("status", {}).get("replicas", 0), "selector": selector}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": replicas, "status": status}


def _no_page() -> web.Response:
    return web.Response(status=404, text="404 page not found\n")


def _manager(request: web.BaseRequest, asked: Asked) -> str:
    agent = request.headers.get("User-Agent", "unknown")
    return asked.query.get("fieldManager") or agent.partition("/")[0][:128]


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body) if body[:1] in b"{[" else yaml.safe_load(body)
    except (ValueError, yaml.YAMLError):
        return None


def _json(value: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(text=json.dumps(value) + "\n", status=code, content_type="application/json", headers=headers)
