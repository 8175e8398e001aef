"""Label and field selectors. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from shipway.testing.kubernetes.answers import bad_request
from shipway.testing.kubernetes.schema import Kind

Object = Mapping[str, Any]
Selector = Callable[[Object], bool]

# Beyond metadata.name and metadata.namespace, which all have.
FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    "events": ("type", "reason", "involvedObject.kind", "involvedObject.name", "involvedObject.uid", "source"),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
    "jobs": ("status.successful",),
    "namespaces": ("status.phase",),
}
_TERM = re.compile(r"^\s*(!?)([\w./-]+)\s*(?:(==|=|!=|\bin\b|\bnotin\b)\s*(.*?))?\s*$")


def by_labels(text: str) -> Selector:
    """``a=b,c!=d,e in (f,g),h,!i``. Raises Refusal."""
    terms = [_term(one) for one in re.split(r",(?![^(]*\))", text) if one.strip()]
    return lambda obj: all(term(obj.get("metadata", {}).get("labels") or {}) for term in terms)


def _term(text: str) -> Callable[[Mapping[str, str]], bool]:
    match = _TERM.match(text)
    if match is None:
        raise bad_request(f"unable to parse requirement: found {text!r}, expected: identifier")
    absent, key, operator, right = match.groups()
    if operator is None:
        return lambda labels: (key not in labels) == bool(absent)
    values = {one.strip() for one in (right or "").strip("()").split(",")}
    if operator in ("=", "==", "in"):
        return lambda labels: key in labels and labels[key] in values
    return lambda labels: labels.get(key) not in values


def by_fields(kind: Kind, text: str) -> Selector:
    """``status.phase=Running,metadata.name!=x``. Raises Refusal for a field that this kind is not found by."""
    known = ("metadata.name", "metadata.namespace", *FIELDS.get(kind.plural, ()))
    terms: list[tuple[list[str], bool, str]] = []
    for one in filter(None, text.split(",")):
        path, operator, value = re.split(r"(!=|==|=)", one, maxsplit=1)
        if path not in known:
            if kind.plural in FIELDS:
                raise bad_request(f"field label not supported: {path}")
            only = ", ".join(f'"{each}"' for each in known)
            raise bad_request(f'"{path}" is not a known field selector: only {only}')
        terms.append((path.split("."), operator != "!=", value))
    return lambda obj: all((_at(obj, path) == value) == equal for path, equal, value in terms)


def _at(obj: Any, path: list[str]) -> str:
    for part in path:
        obj = obj.get(part) if isinstance(obj, Mapping) else None
    return "" if obj is None else str(obj)


def both(kind: Kind, query: Mapping[str, str]) -> Selector:
    """Of a request's parameters."""
    labels = by_labels(query.get("labelSelector", ""))
    fields = by_fields(kind, query.get("fieldSelector", ""))
    return lambda obj: labels(obj) and fields(obj)
