"""A route as a value: starlette's routing and the OpenAPI document are both made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]
Schema = dict[str, Any]

JSON = "application/json"
EVENTS = "text/event-stream"
BYTES = "application/octet-stream"


class NoQuery(BaseModel, extra="forbid"):
    """For routes without query parameters."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. ``request`` and ``response`` are JSON schemas (``ref`` names a kind or value).

    ``events``: name to schema of the data of each event that the path streams (besides ``error``). A path that
    has them answers with a stream, and with ``response`` too, unless that is None.
    """

    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    handler: Handler
    summary: str
    response: Schema | None
    query: type[BaseModel] = NoQuery
    request: Schema | None = None
    request_type: str = JSON
    events: Mapping[str, Schema] = field(default_factory=dict)
    status: int = 200


def ref(name: str) -> Schema:
    """A reference to a component schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def fields(*, optional: Mapping[str, Schema] | None = None, **schemas: Schema) -> Schema:
    """A JSON object that has these fields, and perhaps the optional ones."""
    return {"type": "object", "properties": {**schemas, **(optional or {})}, "required": list(schemas)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
BOOLEAN: Schema = {"type": "boolean"}
ERROR: Schema = fields(error=fields(code=STRING, message=STRING, nextStep=STRING))
OBJECT: Schema = {"type": "object"}
BINARY: Schema = {"type": "string", "format": "binary"}
