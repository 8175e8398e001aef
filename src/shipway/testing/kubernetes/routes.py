"""Which resource and which verb a request is of, as an API server reads its path. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.testing.kubernetes.answers import Refusal, no_such_resource
from shipway.testing.kubernetes.schema import Kind, Schema


@dataclass(frozen=True, slots=True)
class Route:
    """``/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE``, read."""

    kind: Kind
    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> str:
        """As rules of roles say it: "pods", "pods/log"."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def route(schema: Schema, method: str, path: str, query: Mapping[str, str]) -> Route:
    """Raises Refusal (404, 405)."""
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        group, version, rest = parts[1], parts[2], parts[3:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (group, version, rest[2]) in schema.kinds:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    kind = schema.kinds.get((group, version, plural))
    if kind is None or (namespace and not kind.namespaced) or (subresource and subresource not in kind.subresources):
        raise no_such_resource()
    verb = _verb(method, query, named=bool(name))
    allowed = kind.subresources[subresource]["verbs"] if subresource else kind.verbs
    if verb not in allowed or (kind.namespaced and name and not namespace):
        raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
    return Route(kind, verb, namespace, name, subresource)


def known_group(schema: Schema, path: str) -> bool:
    """Whether this server has anything at a path of that group and version."""
    parts = path.strip("/").split("/")
    wanted = ("", *parts[1:2]) if parts[0] == "api" else tuple(parts[1:3])
    return any((group, version) == wanted for group, version, _ in schema.kinds)


def _verb(method: str, query: Mapping[str, str], *, named: bool) -> str:
    if method == "GET" and not named:
        return "watch" if query.get("watch") in ("true", "1") else "list"
    if method == "DELETE" and not named:
        return "deletecollection"
    return {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "")


def discovery(schema: Schema, path: str, version: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a path says of the server itself; None when it is of a resource. Raises Refusal."""
    parts = [one for one in path.split("/") if one]
    if parts == ["version"]:
        return dict(version)
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    groups = sorted({(kind.group, kind.version) for kind in schema.kinds.values()})
    if parts == ["apis"]:
        listed = [_group(group, number) for group, number in groups if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if parts[0] == "apis" and len(parts) == 2:
        found = next((_group(*one) for one in groups if one[0] == parts[1]), None)
        if found is None:
            raise no_such_resource()
        return {"kind": "APIGroup", "apiVersion": "v1", **found}
    wanted = ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else tuple(parts[1:]) if len(parts) == 3 else None
    if wanted is None or (parts[0] == "api" and len(parts) != 2):
        return None
    kinds = [kind for kind in schema.kinds.values() if (kind.group, kind.version) == wanted]
    if not kinds:
        raise no_such_resource()
    listed = [dict(one) for kind in kinds for one in (_described(kind), *kind.subresources.values())]
    listed.sort(key=lambda one: str(one["name"]))
    head = {"kind": "APIResourceList", "apiVersion": "v1"} if wanted[0] else {"kind": "APIResourceList"}
    return {**head, "groupVersion": kinds[0].api_version, "resources": listed}


def _group(group: str, version: str) -> dict[str, Any]:
    one = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [one], "preferredVersion": one}


def _described(kind: Kind) -> Mapping[str, Any]:
    plain = {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": kind.namespaced, "kind": kind.kind}
    return kind.discovery or {**plain, "verbs": list(kind.verbs)}
