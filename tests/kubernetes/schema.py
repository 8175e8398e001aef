"""What the fake knows of kinds, taken from a real API server: its discovery and the shapes that it publishes.

``python -m tests.kubernetes.record`` writes it to src/shipway/testing/kubernetes/schema.json. A shape is

* the name of a type ("core.v1.Container"), or of a scalar ("string", "integer", "boolean", "number", "any"),
* ``{"map": shape}``, ``{"list": shape}`` (atomic), ``{"set": shape}``, ``{"items": shape, "keys": [...]}``,
* any of them with ``"atomic": true`` where one manager owns all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

GROUPS = (
    ("", "v1"),
    ("apps", "v1"),
    ("authorization.k8s.io", "v1"),
    ("autoscaling", "v2"),
    ("batch", "v1"),
    ("coordination.k8s.io", "v1"),
    ("discovery.k8s.io", "v1"),
    ("events.k8s.io", "v1"),
    ("networking.k8s.io", "v1"),
    ("policy", "v1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("scheduling.k8s.io", "v1"),
    ("storage.k8s.io", "v1"),
)
PREFIXES = ("io.k8s.api.", "io.k8s.apimachinery.pkg.")
_WRAPPERS = ("ArbitraryKeys", "SchemaProps", "SwaggerSchemaProps")
Schema = Mapping[str, Any]


def gather(get: Callable[[str], Any]) -> dict[str, Any]:
    """Resources and types of ``GROUPS``; ``get`` fetches the JSON of a path."""
    resources: list[dict[str, Any]] = []
    schemas: dict[str, Schema] = {}
    for group, version in GROUPS:
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        document = get(f"/openapi/v3/{path}")["components"]["schemas"]
        schemas |= {_short(name): _flat(schema) for name, schema in document.items()}
        for one in get(f"/{path}")["resources"]:
            found = {name: value for name, value in one.items() if name != "storageVersionHash"}
            resources.append({"of": [group, version], **found, "type": _type_of(schemas, group, version, one)})
    types = {name: _type(schema, schemas) for name, schema in schemas.items() if "properties" in schema}
    return {"resources": resources, "types": _reached(types, [str(one["type"]) for one in resources])}


def _type_of(schemas: Mapping[str, Schema], group: str, version: str, resource: Mapping[str, Any]) -> str:
    wanted = {"group": resource.get("group", group), "version": resource.get("version", version)}
    wanted["kind"] = resource["kind"]
    return next((name for name, one in schemas.items() if wanted in one.get(_KINDS, ())), "any")


_KINDS = "x-kubernetes-group-version-kind"


def _short(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _flat(schema: Any) -> Any:
    """One OpenAPI schema without what a build of the API server by a newer Go wraps its parts in."""
    if isinstance(schema, list):
        return [_flat(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    parts: dict[str, Any] = {}
    for name, value in schema.items():
        parts |= value if name in _WRAPPERS else {name: value}
    return {name: _flat(value) for name, value in parts.items() if name != "description"}


def _type(schema: Schema, schemas: Mapping[str, Schema]) -> dict[str, Any]:
    fields = schema["properties"]
    made: dict[str, Any] = {"fields": {name: _shape(one, schemas) for name, one in sorted(fields.items())}}
    if required := schema.get("required"):
        made["required"] = sorted(required)
    defaults = {name: one["default"] for name, one in fields.items() if one.get("default") not in (None, "", 0, {})}
    if defaults:
        made["defaults"] = defaults
    if schema.get("x-kubernetes-map-type") == "atomic":
        made["atomic"] = True
    return made


def _shape(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    reference = schema.get("$ref") or next((one.get("$ref") for one in schema.get("allOf", ())), None)
    if reference:
        name = _short(reference.rpartition("/")[2])
        return name if "properties" in schemas[name] else "any"
    match schema.get("type"):
        case "array":
            inner = _shape(schema["items"], schemas)
            kind = schema.get("x-kubernetes-list-type", "atomic")
            if kind == "map":
                return {"items": inner, "keys": schema["x-kubernetes-list-map-keys"]}
            return {"set" if kind == "set" else "list": inner}
        case "object" if "additionalProperties" in schema:
            shape: dict[str, Any] = {"map": _shape(schema["additionalProperties"], schemas)}
            return {**shape, "atomic": True} if schema.get("x-kubernetes-map-type") == "atomic" else shape
        case "string" | "integer" | "boolean" | "number":
            return schema["type"]
        case _:
            return "any"


def _reached(types: Mapping[str, Any], roots: list[str]) -> dict[str, Any]:
    found: set[str] = set()
    left = list(roots)
    while left:
        name = left.pop()
        if name in types and name not in found:
            found.add(name)
            for shape in types[name]["fields"].values():
                while isinstance(shape, dict):
                    shape = next(shape[part] for part in ("map", "list", "set", "items") if part in shape)
                left.append(shape)
    return {name: types[name] for name in sorted(found)}
