"""docs/kinds.md shows every field of every kind as the code has it: name, type with bounds, default; and no other."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shipway.kinds import KINDS, ModelServiceSpec, Object, RevisionTemplate
from shipway.kinds.meta import DigestStr, EnvName, Name
from shipway.kinds.quantity import Cpu, Memory, Seconds
from shipway.kinds.service import ModelRef

PAGE = Path(__file__).parents[2] / "docs" / "kinds.md"
ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<type>[^|]+) \| (?P<default>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE
)

# Types of ours that say more than "string" or "number"; the page explains each under "Words for types".
WORDS: tuple[tuple[Any, str], ...] = (
    (Name, "name"),
    (EnvName, "variable name"),
    (DigestStr, "digest"),
    (ModelRef, "model reference"),
    (Cpu, "CPU quantity"),
    (Memory, "memory quantity"),
    (Seconds, "duration"),
    (str, "string"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (datetime, "time"),
    (Any, "any"),
)


def type_words(hint: Any) -> str:
    """A type as the page words it: ``integer, 1 to 1000``, ``list of string``, ``[Probe](#probe)``."""
    known = next((word for one, word in WORDS if one is hint or one == hint), "")
    if known:
        return known
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(arguments[0]) + "".join(f", {one}" for one in bounds(arguments[1:]))
    if origin is Literal:
        return " or ".join(f"`{one}`" if one else '`""`' for one in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_words(one) for one in arguments if one is not type(None))
    if origin is tuple:
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"map of {type_words(arguments[0])} to {type_words(arguments[1])}"
    assert issubclass(hint, BaseModel), hint
    return f"[{hint.__name__}](#{hint.__name__.lower()})"


def bounds(metadata: tuple[Any, ...]) -> Iterator[str]:
    constraints = [one for field in metadata if isinstance(field, FieldInfo) for one in field.metadata]
    low = next((one.ge for one in constraints if isinstance(one, annotated_types.Ge)), None)
    high = next((one.le for one in constraints if isinstance(one, annotated_types.Le)), None)
    if low is not None:
        yield f"{low} or more" if high is None else f"{low} to {high}"
    yield from (f"at least {one.min_length}" for one in constraints if isinstance(one, annotated_types.MinLen))


def default_words(field: FieldInfo, hint: Any) -> str:
    """A default as one writes it in YAML; ``required`` and ``none`` where there is no value."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, float) and hint == Seconds:
        return f"`{value:g}s`"
    return f"`{plain(value)}`"


def plain(value: Any) -> str:
    match value:
        case BaseModel():
            return plain(value.model_dump(by_alias=True, exclude_defaults=True))
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case dict():
            return "{" + ", ".join(f"{name}: {plain(one)}" for name, one in value.items()) + "}"
        case tuple():
            return "[" + ", ".join(plain(one) if isinstance(one, BaseModel) else f'"{one}"' for one in value) + "]"
        case "":
            return '""'
    return str(value)


def expected(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """JSON name to type and default."""
    hints = get_type_hints(model, include_extras=True)
    return {
        field.alias or name: (type_words(hints[name]), default_words(field, hints[name]))
        for name, field in model.model_fields.items()
    }


def within(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for argument in get_args(hint):
        yield from within(argument)


def models() -> dict[str, type[BaseModel]]:
    """Every class that has a table, by name: Object stands for the kinds, ModelServiceSpec for its RevisionTemplate."""
    found: dict[str, type[BaseModel]] = {"Object": Object}
    waiting: list[type[BaseModel]] = list(KINDS.values())
    while waiting:
        model = waiting.pop(0)
        if model.__name__ not in found:
            found[model.__name__] = model
            hints = get_type_hints(model, include_extras=True)
            waiting += [one for name in model.model_fields for one in within(hints[name])]
    return {name: model for name, model in found.items() if name not in (*KINDS, RevisionTemplate.__name__)}


def sections() -> dict[str, str]:
    """The page's text below each heading."""
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"^#+ (.+)\n", prose, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", models())
def test_the_page_shows_the_fields_as_they_are(name: str) -> None:
    shown = {row["name"]: (row["type"], row["default"]) for row in ROW.finditer(sections()[name])}
    assert shown == expected(models()[name])


def test_the_page_shows_no_type_that_does_not_exist() -> None:
    tables = {heading for heading, text in sections().items() if ROW.search(text)}
    assert tables == set(models())


def test_what_the_page_says_of_tables_that_it_leaves_out() -> None:
    assert all(set(kind.model_fields) == set(Object.model_fields) for kind in KINDS.values())
    assert set(KINDS) <= set(sections())
    beside = {
        name: one for name, one in ModelServiceSpec.model_fields.items() if name not in RevisionTemplate.model_fields
    }
    left_out = {one.alias or name for name, one in beside.items()}
    assert set(re.findall(r"`(\w+)`", sections()["RevisionTemplate"])) == left_out


def test_the_words_are_explained() -> None:
    rows = [row for text in sections().values() for row in ROW.finditer(text)]
    explained = set(re.findall(r"^\| ([A-Za-z ]+) \|", sections()["Words for types"], re.MULTILINE))
    unexplained = {word for _, word in WORDS[:7] if any(word in row["type"] for row in rows)} - explained
    assert unexplained == set()


def test_a_field_is_worded_with_its_bounds_and_default() -> None:
    service = expected(models()["ModelServiceSpec"])
    assert service["replicas"] == ("integer, 0 to 1000", "`1`")
    assert service["timeout"] == ("duration", "`60s`")
    assert service["liveness"] == ("[Probe](#probe)", "`{period: 5, timeout: 5, failureThreshold: 6}`")
