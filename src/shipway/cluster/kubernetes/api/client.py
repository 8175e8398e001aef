"""The API of one cluster: raw JSON in and out, each method one verb of Kubernetes.

Sources: https://kubernetes.io/docs/reference/using-api/api-concepts/ (lists in pages, watches, server-side apply).
"""

from __future__ import annotations

import json as codec
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self

import aiohttp

from shipway.cluster.kubernetes.api import refusals
from shipway.cluster.kubernetes.api.calls import Call
from shipway.cluster.kubernetes.api.credentials import Access
from shipway.cluster.kubernetes.api.lines import lines
from shipway.cluster.kubernetes.api.refusals import Expired as Expired
from shipway.cluster.kubernetes.api.resources import PODS, Resource, resource_of
from shipway.cluster.kubernetes.api.transport import REAL, Pace, Transport
from shipway.cluster.kubernetes.names import FIELD_MANAGER, Manifest
from shipway.errors import NotFound

_WATCH = 300  # seconds that one watch lasts; the server ends it, and the next one goes on where it was
_LONGEST_LINE = 1 << 20  # bytes of one line of a log
_LARGEST = 16 << 20  # bytes of one event of a watch: etcd keeps 1.5 MB, and the server may add the kind's defaults

_Items = list[Any]  # inside of Api, `list` is a verb

_MERGE, _APPLY = "application/merge-patch+json", "application/apply-patch+yaml"  # JSON is YAML


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects that were asked for, and the version from which a watch goes on."""

    items: tuple[Any, ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch. Of a BOOKMARK only ``metadata.resourceVersion`` is there."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: dict[str, Any]


class Api:
    """One cluster's API server.

    All methods raise ClusterUnreachable (nobody answers, or fails again and again), ClusterRefused (credentials,
    rights, a policy), NotFound, Conflict and UserError (what was sent is not valid), each with the object's name.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def connect(cls, access: Access, *, pace: Pace = REAL) -> Self:
        """Nothing is asked of the network yet. To be closed: ``async with Api.connect(access) as api``."""
        return cls(Transport(access, pace))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    @property
    def access(self) -> Access:
        """Where this is, and as whom."""
        return self._transport.access

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server warned of (deprecated kinds, unknown fields, Pod Security), each once, oldest first."""
        return tuple(self._transport.warnings)

    # --- reading

    async def get(
        self, resource: Resource, name: str, namespace: str = "", *, subresource: str = ""
    ) -> Manifest | None:
        """One object; None when there is none of that name."""
        call = _call("get", "GET", resource, namespace, name, subresource=subresource, again=True)
        try:
            return _document(await self._transport.ask(call))
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        limit: int = 500,
        into: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Listing:
        """All objects, page by page; ``into`` makes of each one what is kept, before the next page is asked for.

        The pages are of one moment, unless the server forgot that moment meanwhile: then all is read once more.
        """
        params = {"limit": str(limit), "labelSelector": labels, "fieldSelector": fields}
        again = False
        while True:
            try:
                return await self._pages(resource, namespace, params, into)
            except Expired:
                if again:  # too slow for the server's memory: in one piece
                    params["limit"] = ""
                again = True

    async def _pages(
        self,
        resource: Resource,
        namespace: str,
        params: Mapping[str, str],
        into: Callable[[dict[str, Any]], Any] | None,
    ) -> Listing:
        items: _Items = []
        token = ""
        while True:
            call = _call("list", "GET", resource, namespace, params={**params, "continue": token}, again=True)
            page = await self._transport.ask(call)
            version = page["metadata"].get("resourceVersion", "")
            for item in page.get("items") or ():
                # Kubernetes leaves these two out in lists; what reads an object should not care where it came from.
                item = {"apiVersion": resource.api_version, "kind": resource.kind, **item}
                items.append(into(item) if into else item)
            token = page["metadata"].get("continue", "")
            if not token:
                return Listing(tuple(items), version)

    async def watch(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        accepted: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[Event, None]:
        """What changes from ``resource_version`` on, for some minutes; then the caller watches again from the last one.
        ``accepted`` is called when the server has begun to answer: the first event may come much later.

        Raises Expired when that version is forgotten, ClusterUnreachable when the stream breaks; tried once only.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": labels,
            "fieldSelector": fields,
            "timeoutSeconds": str(_WATCH),
        }
        call = _call("watch", "GET", resource, namespace, params=params, again=True, stream=_WATCH + 30)
        async with (
            self._transport.opened(replace(call, attempts=1)) as response,
            aclosing(lines(response.content, _LARGEST)) as stream,
        ):
            accepted()
            async for line in stream:
                yield _event(codec.loads(line), call, self.access)

    async def logs(
        self,
        pod: str,
        namespace: str,
        container: str,
        *,
        follow: bool = False,
        since_time: datetime | str | None = None,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = True,
    ) -> AsyncGenerator[bytes, None]:
        """Lines of a container without their newline, each with the time it was written in front.

        ``since_time`` (RFC 3339) counts whole seconds: drop what is not newer than the last line you have. A last line
        without newline comes when the container ended; of a stream that breaks (ClusterUnreachable) it does not come,
        for it may be half a line. Longer lines than 1 MiB are cut.
        """
        since = since_time.isoformat() if isinstance(since_time, datetime) else since_time or ""
        params = {
            "container": container,
            "follow": "true" if follow else "",
            "previous": "true" if previous else "",
            "timestamps": "true" if timestamps else "",
            "sinceTime": since.replace("+00:00", "Z"),
            "tailLines": "" if tail is None else str(tail),
        }
        call = _call("get", "GET", PODS, namespace, pod, params=params, subresource="log", again=True, stream=0)
        async with self._transport.opened(call) as response, aclosing(lines(response.content, _LONGEST_LINE)) as stream:
            async for line in stream:
                yield line

    async def version(self) -> str:
        """Of the server: ``v1.36.2``."""
        return str((await self.raw("GET", "/version"))["gitVersion"])

    # --- writing

    async def apply(
        self, manifest: Manifest, *, force: bool = False, dry_run: bool = False, manager: str = FIELD_MANAGER
    ) -> Manifest:
        """Server-side apply: the object as it is now. Raises refusals.FieldsOwned when others own what we set."""
        resource, namespace, name = _address(manifest)
        params = {"fieldManager": manager, "force": "true" if force else "false", **_dry(dry_run)}
        call = _call("patch", "PATCH", resource, namespace, name, params=params, again=True)
        return _document(await self._transport.ask(call.sending(codec.dumps(manifest).encode(), _APPLY)))

    async def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """A new object. Raises Conflict when there is one of that name. A connection that breaks is not tried again:
        nobody knows whether it was made."""
        resource, namespace, _ = _address(manifest)
        params = {"fieldManager": FIELD_MANAGER, **_dry(dry_run)}
        call = _call("create", "POST", resource, namespace, params=params, again=False)
        return _document(await self._transport.ask(call.sending(codec.dumps(manifest).encode(), "application/json")))

    async def replace(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """The whole object; with ``metadata.resourceVersion`` only if it is still at that version (else Conflict)."""
        resource, namespace, name = _address(manifest)
        call = _call("update", "PUT", resource, namespace, name, params=_dry(dry_run), again=False)
        return _document(await self._transport.ask(call.sending(codec.dumps(manifest).encode(), "application/json")))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
    ) -> Manifest:
        """JSON merge patch (RFC 7386)."""
        params = {"fieldManager": FIELD_MANAGER, **_dry(dry_run)}
        call = _call("patch", "PATCH", resource, namespace, name, params=params, subresource=subresource, again=True)
        return _document(await self._transport.ask(call.sending(codec.dumps(patch).encode(), _MERGE)))

    async def delete(
        self, resource: Resource, name: str, *, namespace: str = "", propagation: str = "Background", uid: str = ""
    ) -> bool:
        """Whether it was there. With ``uid`` only that object, not a later one of the same name (Conflict)."""
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        call = _call("delete", "DELETE", resource, namespace, name, again=True)
        try:
            await self._transport.ask(call.sending(codec.dumps(options).encode(), "application/json"))
        except NotFound:
            return False
        return True

    # --- everything else

    async def raw(self, method: str, path: str, json: Any = None, params: Mapping[str, str] | None = None) -> Any:
        """Any other request: its JSON, or text when the answer is none."""
        call = Call(method.lower(), path, method=method, path=path, params=params or {}, again=method == "GET")
        return await self._transport.ask(
            call if json is None else call.sending(codec.dumps(json).encode(), "application/json")
        )

    def websocket(
        self, path: str, protocols: Sequence[str], params: Iterable[tuple[str, str]] = ()
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """A WebSocket in one of these subprotocols: ``async with api.websocket(...) as socket``."""
        return self._transport.websocket(Call("create", path, method="GET", path=path, params=dict(params)), protocols)


def _call(
    verb: str,
    method: str,
    resource: Resource,
    namespace: str = "",
    name: str = "",
    *,
    params: Mapping[str, str] | None = None,
    subresource: str = "",
    again: bool,
    stream: float | None = None,
) -> Call:
    return Call(
        verb=verb,
        what=f"{resource.title}/{subresource}" if subresource else resource.title,
        namespace=namespace,
        name=name,
        method=method,
        path=resource.path(namespace, name, subresource),
        params=params or {},
        again=again,
        stream=stream,
    )


def _address(manifest: Manifest) -> tuple[Resource, str, str]:
    metadata = manifest.get("metadata", {})
    return resource_of(manifest), str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _document(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}


def _event(line: Mapping[str, Any], call: Call, access: Access) -> Event:
    if line["type"] != "ERROR":
        return Event(line["type"], line["object"])
    raise refusals.error(int(line["object"].get("code", 500)), line["object"], call, access.server)
