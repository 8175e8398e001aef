"""What an API server says no to before it writes: faults of an object, Pod Security, quota. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from shipway.testing.kubernetes.answers import bad_request, forbidden, invalid
from shipway.testing.kubernetes.schema import Kind, Schema, Shape, compact

Object = Mapping[str, Any]
Cause = tuple[str, str, str]  # reason, field, message

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
}


def decode(schema: Schema, kind: Kind, value: Any) -> None:
    """Raises Refusal (400) where a value has the wrong type."""
    for path, expected, found in _mistyped(schema, kind.type, value, kind.kind):
        told = f"json: cannot unmarshal {found} into Go struct field {path} of type {expected}"
        raise bad_request(f"{kind.kind} in version {kind.version!r} cannot be handled as a {kind.kind}: {told}")


def _mistyped(schema: Schema, shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    if value is None:
        return
    if isinstance(shape, str):
        wanted = _SCALARS.get(shape)
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and shape != "boolean")):
            yield path, shape, type(value).__name__
        elif isinstance(value, dict) and shape in schema.types:
            fields = schema.types[shape]["fields"]
            for name, one in value.items():
                yield from _mistyped(schema, fields.get(name, "any"), one, f"{path}.{name}")
    elif isinstance(value, list):
        inner = shape.get("list") or shape.get("set") or shape.get("items")
        for one in value:
            yield from _mistyped(schema, inner, one, path)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _mistyped(schema, shape.get("map", "any"), one, path)


def validate(schema: Schema, kind: Kind, obj: Object, live: Object | None) -> None:
    """Raises Refusal (422) with all faults that are found."""
    causes = [*_names(obj), *_required(schema, kind.type, obj, ""), *_selectors(kind, obj, live)]
    if causes:
        raise invalid(kind, obj["metadata"].get("name", ""), causes)


def _names(obj: Object) -> Iterator[Cause]:
    name = obj["metadata"].get("name", "")
    if not name:
        yield "FieldValueRequired", "metadata.name", "Required value: name or generateName is required"
    elif not _NAME.fullmatch(name):
        yield "FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": {_SUBDOMAIN}'
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if len(value) > 63:
            message = f'Invalid value: "{value}": must be no more than 63 bytes'
            yield "FieldValueInvalid", "metadata.labels", message
        elif not _LABEL.fullmatch(value):
            yield "FieldValueInvalid", "metadata.labels", f'Invalid value: "{value}": {_LABEL_VALUE}'
        if not key:
            yield "FieldValueInvalid", "metadata.labels", 'Invalid value: "": name part must be non-empty'


# What a spec cannot be without, though its type says nothing of it.
_NEEDED = {"core.v1.Container": ("image",), "core.v1.PodSpec": ("containers",), "core.v1.ServiceSpec": ()}


def _required(schema: Schema, shape: Shape, value: Any, path: str) -> Iterator[Cause]:
    if isinstance(shape, str) and isinstance(value, Mapping) and shape in schema.types:
        known = schema.types[shape]
        needed = {*known.get("required", ()), *_NEEDED.get(shape, ())}
        for name in sorted(needed):
            if name not in value or value[name] in ("", [], None):
                yield "FieldValueRequired", f"{path}.{name}" if path else name, "Required value"
        for name, one in value.items():
            if name != "status":
                yield from _required(schema, known["fields"].get(name, "any"), one, f"{path}.{name}" if path else name)
    elif isinstance(shape, dict) and isinstance(value, list):
        inner = shape.get("list") or shape.get("set") or shape.get("items")
        for at, one in enumerate(value):
            yield from _required(schema, inner, one, f"{path}[{at}]")


def _selectors(kind: Kind, obj: Object, live: Object | None) -> Iterator[Cause]:
    if kind.plural not in ("deployments", "statefulsets", "replicasets"):
        return
    spec = obj.get("spec", {})
    wanted = spec.get("selector", {}).get("matchLabels", {})
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        shown = compact(labels)
        message = f"Invalid value: {shown}: `selector` does not match template `labels`"
        yield "FieldValueInvalid", "spec.template.metadata.labels", message
    if live is not None and live["spec"].get("selector") != spec.get("selector"):
        shown = compact({"matchLabels": wanted})
        yield "FieldValueInvalid", "spec.selector", f"Invalid value: {shown}: field is immutable"


def pod_security(pod: Object) -> list[str]:
    """How a Pod violates the level ``restricted``: the parts of it that templates get wrong."""
    spec = pod["spec"]
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    whole = spec.get("securityContext") or {}

    def who(broken: Callable[[Object], bool]) -> str:
        return _listed([one["name"] for one in containers if broken(one.get("securityContext") or {})])

    found = []
    if names := who(lambda one: one.get("allowPrivilegeEscalation") is not False):
        found.append(
            f"allowPrivilegeEscalation != false ({names} must set securityContext.allowPrivilegeEscalation=false)"
        )
    if names := who(lambda one: "ALL" not in (one.get("capabilities") or {}).get("drop", ())):
        found.append(f'unrestricted capabilities ({names} must set securityContext.capabilities.drop=["ALL"])')
    if names := who(lambda one: not one.get("runAsNonRoot", whole.get("runAsNonRoot"))):
        found.append(f"runAsNonRoot != true (pod or {names} must set securityContext.runAsNonRoot=true)")
    if names := who(lambda one: not one.get("seccompProfile", whole.get("seccompProfile"))):
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        found.append(f"seccompProfile (pod or {names} {must})")
    return found


def _listed(names: Sequence[str]) -> str:
    quoted = [f'"{one}"' for one in names]
    if len(quoted) < 2:
        return "".join(f"container {one}" for one in quoted)
    return f"containers {', '.join(quoted)}"


_TEMPLATED = ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs")
ENFORCE = "pod-security.kubernetes.io/enforce"


def admit(kind: Kind, obj: Object, namespace: Object, quotas: Iterable[Object]) -> list[str]:
    """Warnings. Raises Refusal (403) where the namespace's level or a quota does not allow it."""
    name = obj["metadata"]["name"]
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE)
    if kind.plural == "pods" and level == "restricted" and (violations := pod_security(obj)):
        raise forbidden(kind, name, f'violates PodSecurity "restricted:latest": {", ".join(violations)}')
    for quota in quotas:
        _within(kind, obj, quota)
    template = obj.get("spec", {}).get("template", {}) if kind.plural in _TEMPLATED else {}
    if level == "restricted" and "spec" in template and (violations := pod_security(template)):
        return [f'would violate PodSecurity "restricted:latest": {", ".join(violations)}']
    return []


def _within(kind: Kind, obj: Object, quota: Object) -> None:
    status = quota.get("status", {})
    limited, used = status.get("hard", {}), status.get("used", {})
    asked = usage(kind, obj)
    over = {one: (asked[one], used.get(one, "0"), limited[one]) for one in asked if one in limited}
    over = {one: three for one, three in over.items() if quantity(three[0]) + quantity(three[1]) > quantity(three[2])}
    if over:
        parts = [",".join(f"{one}={three[at]}" for one, three in sorted(over.items())) for at in range(3)]
        why = (
            f"exceeded quota: {quota['metadata']['name']}, requested: {parts[0]}, used: {parts[1]}, limited: {parts[2]}"
        )
        raise forbidden(kind, obj["metadata"]["name"], why)


def usage(kind: Kind, obj: Object) -> dict[str, str]:
    """What an object takes of a quota: its count, and requests and limits of a Pod's containers."""
    count = f"count/{kind.qualified}"
    used = {count: "1", kind.plural: "1"} if not kind.group else {count: "1"}
    if kind.plural == "pods":
        for part in ("requests", "limits"):
            for container in obj["spec"]["containers"]:
                for name, value in container.get("resources", {}).get(part, {}).items():
                    used[f"{part}.{name}"] = str(value)
                    if part == "requests" and name in ("cpu", "memory"):
                        used[name] = str(value)
    return used


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> float:
    """Kubernetes' "500m", "2Gi" as a number."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    assert match is not None, f"{text!r} is no quantity"
    return float(match[1]) * _UNITS.get(match[2], 1)
