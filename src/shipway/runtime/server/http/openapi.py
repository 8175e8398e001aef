"""What this server answers, as an OpenAPI 3.1 document.

Source: OpenAPI Specification 3.1; Open Inference Protocol v2's own ``open_inference_rest.yaml``.
"""

from __future__ import annotations

from typing import Any

from shipway import __version__

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_ANYTHING: Schema = {}


def document() -> Schema:
    """The whole of it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shipway model server",
            "version": __version__,
            "description": "Open Inference Protocol v2 over HTTP, TensorFlow Serving's V1, and plain rows.",
        },
        "paths": {**_of_the_server(), **_of_models(), **_of_the_repository(), **_of_v1()},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


def _of_the_server() -> Schema:
    return {
        "/v2": {"get": _get("serverMetadata", "Name, version and extensions", _ref("Server"))},
        "/v2/health/live": {"get": _get("live", "Whether the process answers", _ref("Live"))},
        "/v2/health/ready": {"get": _get("ready", "Whether requests should be sent here", _ref("Ready"), _NOT_READY)},
        "/metrics": {"get": _operation("metrics", "Prometheus' text format", {"200": _text()})},
        "/shipway/state": {
            "get": _get("state", "Load, for whoever decides how many replicas are needed", _ref("State"))
        },
        "/shipway/openapi.json": {"get": _get("openapi", "This document", {"type": "object"})},
        "/predict": {
            "post": _operation(
                "predict",
                "Plain rows; a model that streams needs Accept: text/event-stream",
                {"200": {"description": "Rows", "content": {**_json(_ref("Rows")), **_events()}}, **_FAILURES},
                body=_json(_ref("PlainRequest")),
                parameters=_DEADLINES,
            )
        },
    }


def _of_models() -> Schema:
    paths: Schema = {}
    for prefix, suffix, parameters in (
        ("/v2/models/{name}", "", [_NAME]),
        ("/v2/models/{name}/versions/{version}", "OfVersion", [_NAME, _VERSION]),
    ):
        asked = [*parameters, *_DEADLINES, _HEADER_LENGTH]
        paths[prefix] = {
            "get": _get(f"model{suffix}", "Inputs and outputs", _ref("Model"), _NOT_FOUND | _NOT_READY, parameters)
        }
        paths[f"{prefix}/ready"] = {
            "get": _get(f"modelReady{suffix}", "Whether it answers", _ref("Ready"), _NOT_FOUND | _NOT_READY, parameters)
        }
        answer = {"description": "The outputs", "content": {**_json(_ref("InferResponse")), **_BINARY}}
        paths[f"{prefix}/infer"] = {
            "post": _operation(
                f"infer{suffix}",
                "One answer",
                {"200": answer, **_FAILURES},
                {**_json(_ref("InferRequest")), **_BINARY},
                asked,
            )
        }
        paths[f"{prefix}/infer_stream"] = {
            "post": _operation(
                f"inferStream{suffix}",
                "Answers as server-sent events: each an InferResponse or {error}; the event `end` comes last",
                {"200": {"description": "Events", "content": _events()}, **_FAILURES},
                _json(_ref("InferRequest")),
                asked,
            )
        }
    return paths


def _of_the_repository() -> Schema:
    refused = {"403": _error("No admin key, or another"), **_FAILURES}
    empty = {"200": {"description": "Done", "content": _json({"type": "object"})}, **refused}
    index = {"description": "Every version", "content": _json({"type": "array", "items": _ref("IndexRow")})}
    change = _json(_ref("Change"))
    admin: Schema = {"security": [{"admin": []}]}
    return {
        "/v2/repository/index": {
            "post": admin
            | _operation("index", "What can be loaded", {"200": index, **refused}, _json(_ref("IndexRequest")))
        },
        "/v2/repository/models/{name}/load": {
            "post": admin | _operation("load", "Load a version and make it the default", empty, change, [_NAME])
        },
        "/v2/repository/models/{name}/unload": {
            "post": admin | _operation("unload", "Answer what is under way, then refuse", empty, change, [_NAME])
        },
    }


def _of_v1() -> Schema:
    paths: Schema = {}
    for prefix, suffix, parameters in (
        ("/v1/models/{name}", "", [_NAME]),
        ("/v1/models/{name}/versions/{version}", "OfVersion", [_NAME, _VERSION]),
    ):
        paths[prefix] = {
            "get": _get(f"v1Status{suffix}", "TensorFlow Serving's status", _ref("V1Status"), _NOT_FOUND, parameters)
        }
        paths[f"{prefix}:predict"] = {
            "post": _operation(
                f"v1Predict{suffix}",
                "instances to predictions, or inputs to outputs",
                {"200": {"description": "The outputs", "content": _json({"type": "object"})}, **_FAILURES},
                _json(_ref("V1Request")),
                [*parameters, *_DEADLINES],
            )
        }
    return paths


def _schemas() -> Schema:
    tensor = {"name": _STRING, "datatype": _STRING, "shape": {"type": "array", "items": _INTEGER}}
    parameters = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    given = tensor | {"parameters": parameters, "data": {"type": "array"}}
    return {
        "Error": _object({"error": _STRING}),
        "Live": _object({"live": _BOOLEAN}),
        "Ready": _object({"name": _STRING, "live": _BOOLEAN, "ready": _BOOLEAN, "error": _STRING}, "name", "ready"),
        "Server": _object({"name": _STRING, "version": _STRING, "extensions": {"type": "array", "items": _STRING}}),
        "Tensor": _object(tensor),
        "Model": _object(
            {
                "name": _STRING,
                "versions": {"type": "array", "items": _STRING},
                "platform": _STRING,
                "inputs": {"type": "array", "items": _ref("Tensor")},
                "outputs": {"type": "array", "items": _ref("Tensor")},
            }
        ),
        "InferRequest": _object(
            {
                "id": _STRING,
                "parameters": parameters,
                "inputs": {"type": "array", "minItems": 1, "items": _object(given, "name", "datatype", "shape")},
                "outputs": {
                    "type": "array",
                    "items": _object({"name": _STRING, "parameters": parameters}, "name"),
                },
            },
            "inputs",
        ),
        "InferResponse": _object(
            {
                "model_name": _STRING,
                "model_version": _STRING,
                "id": _STRING,
                "outputs": {"type": "array", "items": _object(given, "name", "datatype", "shape")},
            },
            "model_name",
            "outputs",
        ),
        "PlainRequest": _options({"input": _ANYTHING, "instances": _ANYTHING}),
        "Rows": _object({"output": _ANYTHING}),
        "V1Request": _options({"instances": _ANYTHING, "inputs": _ANYTHING, "signature_name": _STRING}),
        "V1Status": _object({"name": _STRING, "ready": _BOOLEAN, "model_version_status": {"type": "array"}}),
        "IndexRequest": _options({"ready": _BOOLEAN}),
        "IndexRow": _object({"name": _STRING, "version": _STRING, "state": _STRING, "reason": _STRING}),
        "Change": _options({"parameters": _options({"version": _STRING, "unload_dependents": _BOOLEAN})}),
        "State": _state(),
    }


def _state() -> Schema:
    load = {"inFlight": _INTEGER, "utilisation": _NUMBER, "queuedSeconds": _NUMBER}
    row = {"name": _STRING, "version": _STRING, "pending": _INTEGER, "queuedRows": _INTEGER, **load}
    return _object(
        {
            "phase": {"enum": ["loading", "ready", "draining"]},
            "ready": _BOOLEAN,
            **load,
            "models": {"type": "array", "items": _object(row)},
        }
    )


def _object(properties: Schema, *required: str) -> Schema:
    """All properties are required, unless some are named."""
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def _options(properties: Schema) -> Schema:
    """None is required."""
    return {"type": "object", "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _events() -> Schema:
    return {"text/event-stream": {"schema": _STRING}}


def _text() -> Schema:
    return {"description": "Text", "content": {"text/plain": {"schema": _STRING}}}


def _error(description: str) -> Schema:
    return {"description": description, "content": _json(_ref("Error"))}


def _get(
    identity: str, summary: str, schema: Schema, others: Schema | None = None, parameters: list[Schema] | None = None
) -> Schema:
    found = {"200": {"description": summary, "content": _json(schema)}}
    return _operation(identity, summary, found | (others or {}), parameters=parameters)


def _operation(
    identity: str,
    summary: str,
    responses: Schema,
    body: Schema | None = None,
    parameters: list[Schema] | None = None,
) -> Schema:
    operation: Schema = {"operationId": identity, "summary": summary, "responses": responses}
    if body is not None:
        operation["requestBody"] = {"content": body}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _header(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


_NAME: Schema = {"name": "name", "in": "path", "required": True, "schema": _STRING}
_VERSION: Schema = {"name": "version", "in": "path", "required": True, "schema": _STRING}
_BINARY: Schema = {
    "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
}
_HEADER_LENGTH = _header("Inference-Header-Content-Length", _INTEGER, "Bytes of JSON before binary tensors; 0: none")
_DEADLINES = [
    _header("X-Request-Timeout", _STRING, 'Seconds, or like "250ms"'),
    _header("X-Request-Id", _STRING, "Comes back in the answer"),
]
_NOT_FOUND: Schema = {"404": _error("No such model or version")}
_NOT_READY: Schema = {"503": _error("Not ready")}
_FAILURES: Schema = {
    "400": _error("What was expected"),
    **_NOT_FOUND,
    "408": _error("The body did not come"),
    "413": _error("The body is too large"),
    "415": _error("Unknown content-encoding"),
    "429": _error("Too much is asked for; Retry-After says when"),
    "500": _error("The model failed"),
    "503": _error("Not ready, or shutting down"),
    "504": _error("The deadline passed"),
}
