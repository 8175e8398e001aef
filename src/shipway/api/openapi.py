"""The OpenAPI document, made from the endpoints and from the types of the kinds.

Source: https://spec.openapis.org/oas/v3.2.0 (its schemas are JSON Schema 2020-12, as pydantic's are; "Server-Sent
Events" in section 4.14.4 is how it words what comes in a stream).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaMode

from shipway import __version__
from shipway.api.backend import CheckRequest, ClaimRequest, CollectRequest, DownRequest, TagRequest, UndoRequest
from shipway.api.endpoint import BYTES, ERROR, EVENTS, JSON, STRING, Endpoint, Schema, fields, ref
from shipway.bundle import LogLine, Observed, Replica
from shipway.controllers.operations.data import DataAddRequest, DataPullRequest, DataWriteRequest
from shipway.controllers.operations.requests import (
    ExportRequest,
    ImportRequest,
    PullRequest,
    PushRequest,
    RemoteVerifyRequest,
    VerifyRequest,
)
from shipway.data import DataFile, DataVersion, FileChange, Remote
from shipway.explain import (
    Happening,
    History,
    Holds,
    Line,
    NextStep,
    Story,
    Tenure,
)
from shipway.kinds import KINDS, ModelVersion
from shipway.kinds.catalog import ModelLine, VersionDiff
from shipway.kinds.meta import DigestStr, EnvName, Name
from shipway.models.contents import Contents, PackedFile
from shipway.ports import Entry, MetricPoint

_COMPONENTS = "#/components/schemas/{model}"
_STORIES: tuple[type, ...] = (Line, Holds, NextStep, Story, Tenure, Happening, History)
_CONTENTS: tuple[type, ...] = (PackedFile, Contents)
_DATA: tuple[type, ...] = (DataVersion, DataFile, FileChange, Remote)
_DATACLASSES: tuple[type, ...] = (Observed, Replica, LogLine, Entry, MetricPoint, *_DATA, *_STORIES, *_CONTENTS)
_REQUESTS: tuple[type, ...] = (
    DataAddRequest,
    DataPullRequest,
    DataWriteRequest,
    CheckRequest,
    ClaimRequest,
    CollectRequest,
    DownRequest,
    ExportRequest,
    ImportRequest,
    PullRequest,
    PushRequest,
    RemoteVerifyRequest,
    TagRequest,
    UndoRequest,
    VerifyRequest,
)
_VALUES: tuple[type, ...] = (ModelVersion, ModelLine, VersionDiff, *_REQUESTS, *_DATACLASSES)
_PARAMETER = re.compile(r"\{(\w+)\}")


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document. Costs some 50 ms: ask once."""
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.2.0",
        "info": {"title": "Shipway hub", "version": __version__, "description": "No token on the Unix socket."},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.handler.__module__.rpartition('.')[2]}.{endpoint.handler.__name__}",
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint.path), *_query_parameters(endpoint.query)],
        "responses": {
            str(endpoint.status): {
                "description": endpoint.summary,
                "content": _content(endpoint),
            },
            "default": {"description": "An error", "content": {"application/json": {"schema": ref("Error")}}},
        },
    }
    if endpoint.request is not None:
        content = {} if endpoint.request_type == BYTES else {"schema": endpoint.request}
        # No bytes at all are an empty value.
        operation["requestBody"] = {
            "required": endpoint.request_type == JSON,
            "content": {endpoint.request_type: content},
        }
    return operation


def _content(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.response is not None:
        content[JSON] = {"schema": endpoint.response}
    if endpoint.events:
        events = {**endpoint.events, "error": ref("Error")}
        content[EVENTS] = {"itemSchema": {"oneOf": [_event(name, data) for name, data in events.items()]}}
    return content


def _event(name: str, data: Schema) -> Schema:
    text = {**STRING, "contentMediaType": JSON, "contentSchema": data}
    return fields(event={"const": name}, data=text, optional={"id": STRING})


def _path_parameters(path: str) -> list[dict[str, Any]]:
    known = {
        "plural": {"type": "string", "enum": [cls.plural for cls in KINDS.values()]},
        "name": TypeAdapter(Name).json_schema(),
        "key": TypeAdapter(EnvName).json_schema(),
        "digest": TypeAdapter(DigestStr).json_schema(),
        "alias": TypeAdapter(Name).json_schema(),
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": known.get(name, STRING)}
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    return [
        {"name": name, "in": "query", "required": False, "schema": one}
        for name, one in schema.get("properties", {}).items()
    ]


def _schemas() -> dict[str, Schema]:
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (one.__name__, "validation", TypeAdapter(one)) for one in (*KINDS.values(), *_VALUES)
    ]
    _, found = TypeAdapter.json_schemas(adapters, ref_template=_COMPONENTS)
    schemas: dict[str, Schema] = found["$defs"]
    for cls in _DATACLASSES:
        schemas[cls.__name__] = _camel_case(schemas[cls.__name__])
    kinds = {name: ref(name)["$ref"] for name in KINDS}
    schemas["Object"] = {
        "oneOf": [ref(name) for name in KINDS],
        "discriminator": {"propertyName": "kind", "mapping": kinds},
    }
    schemas["Error"] = ERROR
    return schemas


def _camel_case(schema: Schema) -> Schema:
    return {
        **schema,
        "properties": {to_camel(name): one for name, one in schema["properties"].items()},
        "required": [to_camel(name) for name in schema.get("required", [])],
    }
