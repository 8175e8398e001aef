"""Reading a request: what is wrong with it becomes an error of the tree, never a 500."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import ErrorDetails
from starlette.requests import Request

from shipway.api.backend import Backend
from shipway.errors import InvalidObject, NotFound, UserError
from shipway.kinds import KINDS, Object
from shipway.kinds.document import Document
from shipway.kinds.field_errors import translate

LARGEST_JSON = 16 * 1024 * 1024  # bytes

# Ids and versions end up in SQLite, whose integers have 64 bits.
Position = Annotated[int, Field(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Q = TypeVar("Q", bound=BaseModel)


def backend(request: Request) -> Backend:
    """What the composition root injected."""
    found: Backend = request.app.state.backend
    return found


def query(request: Request, model: type[Q]) -> Q:
    """The query parameters as ``model``. Raises UserError (400) that names each wrong one and what is allowed."""
    try:
        return model.model_validate(dict(request.query_params))
    except pydantic.ValidationError as error:
        allowed = ", ".join(field.alias or name for name, field in model.model_fields.items()) or "none"
        wrong = "; ".join(_wrong_parameter(one) for one in error.errors(include_url=False))
        raise UserError(wrong, next_step=f"This path takes: {allowed}.") from error


def _wrong_parameter(error: ErrorDetails) -> str:
    if not error["loc"]:  # of several together
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"unknown query parameter {name!r}"
    return f"query parameter {name}={error['input']!r}: {error['msg']}"


async def body(request: Request, *, limit: int) -> bytes:
    """The whole body. Raises UserError when it has more than ``limit`` bytes."""
    received = bytearray()
    async for block in request.stream():
        received += block
        if len(received) > limit:
            raise UserError(f"the request's body is larger than {limit} bytes")
    return bytes(received)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises UserError."""
    text = await body(request, limit=LARGEST_JSON)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the request's body is not JSON: {error}") from error
    if rb"\ud" in text.lower() and not _is_unicode(document):
        raise UserError("the request's body holds half of a surrogate pair (\\ud800 to \\udfff), which is no text")
    if not isinstance(document, dict):
        raise UserError(f"the request's body is a JSON {_json_type(document)}; it must be an object")
    return document


def validated(model: type[Q], document: Any) -> Q:
    """The document as ``model``. Raises InvalidObject with one FieldError per error."""
    try:
        return model.model_validate(document)
    except pydantic.ValidationError as error:
        raise InvalidObject(translate(error, Document(document), model)) from error


def path_value(kind_of_value: Any, value: str) -> str:
    """A part of the path that must match an annotated string type. Raises UserError that says what is allowed."""
    try:
        return str(TypeAdapter(kind_of_value).validate_python(value))
    except pydantic.ValidationError as error:
        problems = (str(one["msg"]).removeprefix("Value error, ") for one in error.errors(include_url=False))
        raise UserError("; ".join(problems)) from error


def kind_of(request: Request) -> type[Object]:
    """The kind that ``{plural}`` in the path means. Raises NotFound that lists them."""
    plural = request.path_params["plural"]
    by_plural = {cls.plural: cls for cls in KINDS.values()}
    if plural not in by_plural:
        raise NotFound(f"there are no {plural!r}; the kinds are {', '.join(by_plural)}")
    return by_plural[plural]


def _is_unicode(document: object) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: object) -> str:
    names: dict[type, str] = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
