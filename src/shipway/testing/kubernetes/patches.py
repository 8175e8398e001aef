"""The three kinds of patch besides apply: merge, JSON, strategic merge. Pure."""

from __future__ import annotations

from typing import Any

from shipway.testing.kubernetes.answers import Refusal, bad_request
from shipway.testing.kubernetes.fields import merge
from shipway.testing.kubernetes.schema import Schema
from shipway.testing.kubernetes.storage import Object

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ALL = (JSON, MERGE, APPLY, STRATEGIC)


def patched(schema: Schema, type: str, content_type: str, obj: Object, patch: Any) -> Object:
    """The object after it. Raises Refusal."""
    if content_type == JSON:
        for step in patch:
            _step(obj, step)
        return obj
    if content_type == STRATEGIC:
        return _without_nulls(merge(schema, type, obj, patch))  # type: ignore[no-any-return]
    return merged(obj, patch)  # type: ignore[no-any-return]


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    made = dict(value) if isinstance(value, dict) else {}
    for name, one in patch.items():
        if one is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), one)
    return made


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _step(obj: Any, step: dict[str, Any]) -> None:
    """One operation of RFC 6902 (add, replace, remove, test), in place."""
    parts = [one.replace("~1", "/").replace("~0", "~") for one in step["path"].split("/")[1:]]
    for part in parts[:-1]:
        obj = obj[int(part)] if isinstance(obj, list) else obj.get(part)
        if obj is None:
            raise bad_request(f"the server rejected our request due to an error in our request: {step['path']}")
    last, operation = parts[-1], step["op"]
    if isinstance(obj, list):
        at = len(obj) if last == "-" else int(last)
        if operation == "add":
            obj.insert(at, step["value"])
        elif operation == "replace":
            obj[at] = step["value"]
        elif operation == "remove":
            del obj[at]
    elif operation in ("add", "replace"):
        obj[last] = step["value"]
    elif operation == "remove":
        del obj[last]
    if operation == "test" and (obj[int(last)] if isinstance(obj, list) else obj.get(last)) != step["value"]:
        raise Refusal(422, "Invalid", "the server rejected our request due to an error in our request", {})
