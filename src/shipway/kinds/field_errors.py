"""Pydantic's validation errors in plain words: the field, the value, what is allowed, the nearest valid name."""

from __future__ import annotations

import difflib
import json
import shlex
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shipway.errors import FieldError
from shipway.kinds.document import Document, Path

_LONGEST_VALUE = 60

_A_WHOLE_NUMBER = "a whole number"
_A_NUMBER = "a number"
_A_MAPPING = "a mapping of names to values"
_A_DATE = "a date and time like 2026-01-31T12:00:00Z"

# Pydantic's error type -> what is allowed there; {names} come from the error's own context.
# https://docs.pydantic.dev/latest/errors/validation_errors/
_ALLOWED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "datetime_from_date_parsing": _A_DATE,
    "datetime_parsing": _A_DATE,
    "datetime_type": _A_DATE,
    "dict_type": _A_MAPPING,
    "finite_number": "a finite number",
    "float_parsing": _A_NUMBER,
    "float_type": _A_NUMBER,
    "greater_than_equal": "{ge} or more",
    "int_from_float": _A_WHOLE_NUMBER,
    "int_parsing": _A_WHOLE_NUMBER,
    "int_parsing_size": "a whole number of at most 4300 digits",
    "int_type": _A_WHOLE_NUMBER,
    "less_than_equal": "{le} or less",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "model_attributes_type": _A_MAPPING,
    "model_type": _A_MAPPING,
    "string_type": "a string",
    "string_unicode": "a string of valid Unicode",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}


def nearest(word: str, valid: Iterable[str]) -> str:
    """``; did you mean 'replicas'?`` when a valid word is close, else an empty string."""
    by_lower = {one.lower(): one for one in valid}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.65)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def shown(value: object) -> str:
    """The value as a user would write it, cut to one short line."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # a structure that contains itself, handed in by code
        text = str(type(value).__name__)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def translate(error: ValidationError, document: Document, model: type[BaseModel]) -> list[FieldError]:
    """One FieldError for every wrong field, in the order of their lines.

    A union reports once for every alternative; these become one error: "a string, or a list".
    """
    groups: dict[Path, list[ErrorDetails]] = {}
    for one in error.errors(include_url=False):
        path, union_at = _path(one, document.value)
        groups.setdefault(path if union_at is None else path[:union_at], []).append(one)
    found = [
        document.error(path, message)
        for union_path, errors in groups.items()
        for path, message in _judge(union_path, errors, document.value, model)
    ]
    return sorted(found, key=lambda one: one.line)


def _path(error: ErrorDetails, value: Any) -> tuple[Path, int | None]:
    """The error's place as written, and where in it the first union was entered, if any.

    Pydantic puts the tags of unions ("str", "tuple[str, ...]") between the fields, and "[key]" after one.
    """
    path: Path = ()
    union_at = None
    location = error["loc"]
    for index, part in enumerate(location):
        last = index == len(location) - 1
        inside = part in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(part, int)
        if inside:
            value = value[part]
            path = (*path, part)
        elif last and error["type"] == "missing":
            path = (*path, part)
        elif part != "[key]" and union_at is None:
            union_at = len(path)
    return path, union_at


def _judge(
    union_path: Path, errors: list[ErrorDetails], value: Any, model: type[BaseModel]
) -> Iterable[tuple[Path, str]]:
    placed = [(_path(one, value)[0], one) for one in errors]
    deeper = [(path, one) for path, one in placed if len(path) > len(union_path)]
    # A mapping where a string or a mapping may stand: what is wrong inside it is what helps.
    if deeper and any(path == union_path for path, _ in placed):
        placed = deeper
    if len(placed) == 1 or len({path for path, _ in placed}) > 1:
        return [(path, _message(one, model)) for path, one in placed]
    return [(placed[0][0], _not_allowed(errors[0]["input"], [_allowed(one) for _, one in placed]))]


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown_field(error["loc"], model)
    hint = ""
    if kind == "literal_error" and isinstance(error["input"], str):
        hint = nearest(error["input"], _expected(error))
    return _not_allowed(error["input"], [_allowed(error)]) + hint


def _allowed(error: ErrorDetails) -> str:
    template = _ALLOWED.get(error["type"])
    if template is None:  # of a newer pydantic
        return error["msg"].removeprefix("Input should be ")
    context = dict(error.get("ctx", {}))
    if "expected" in context:
        context["expected"] = ", ".join(_expected(error))
    return template.format_map(context)


def _expected(error: ErrorDetails) -> list[str]:
    """The values of a Literal: pydantic gives them as the text ``'gang', 'indexed' or 'elastic'``."""
    return str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")


def _not_allowed(value: Any, allowed: Sequence[str]) -> str:
    *first, last = dict.fromkeys(allowed)
    choices = f"{', '.join(first)} or {last}" if first else last
    hint = ""
    if "a list" in allowed and isinstance(value, str) and "a string" not in allowed:
        hint = f', like ["{_words(value)}"]'
    if "a string" in allowed and isinstance(value, int | float) and "a number" not in allowed:
        hint = f" (in quotes: {json.dumps(str(value))})" if not isinstance(value, bool) else " (in quotes)"
    return f"{shown(value)} is not allowed; must be {choices}{hint}"


def _words(command: str) -> str:
    try:
        return '", "'.join(shlex.split(command)[:8])
    except ValueError:  # an open quotation
        return command


def _unknown_field(location: tuple[str | int, ...], model: type[BaseModel]) -> str:
    *above, field = location
    valid = sorted({name for owner in models_at(model, above) for name in _aliases(owner)})
    hint = nearest(str(field), valid)
    if not hint and not above and field in _aliases(*models_at(model, ["spec"])):
        hint = f"; it belongs in spec: spec.{field}"
    return f"unknown field{hint or '; known here: ' + ', '.join(valid)}"


def models_at(model: type[BaseModel], location: Sequence[str | int]) -> list[type[BaseModel]]:
    """The models whose fields may stand at that place of the schema (several where a union allows it)."""
    candidates = _parts(model)
    for part in location:
        below = [inner for one in candidates for inner in _enter(one, part)]
        candidates = below or candidates  # a union's tag enters nothing
    return [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]


def _enter(annotation: Any, part: str | int) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [inner for name, inner in _aliases(annotation).items() if name == part for inner in _parts(inner)]
    arguments = get_args(annotation)
    if get_origin(annotation) is dict or (get_origin(annotation) is tuple and isinstance(part, int)):
        return _parts(arguments[1] if get_origin(annotation) is dict else arguments[0])
    return []


def _parts(annotation: Any) -> list[Any]:
    """The alternatives of a union."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for one in get_args(annotation) for inner in _parts(one)]
    return [annotation]


def _aliases(*models: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for one in models for name, info in one.model_fields.items()}
