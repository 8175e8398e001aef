"""Text to objects, with every error at its line: the one way in for what users write. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from shipway.errors import FieldError, InvalidObject
from shipway.kinds import API_VERSION, KINDS, Object
from shipway.kinds.document import Document, documents
from shipway.kinds.field_errors import nearest, shown, translate

_KUBERNETES = re.compile(r"v\d\w*|(apps|autoscaling|batch|extensions|policy)/.*|.*\.k8s\.io/.*")


def load(text: str, file: str = "") -> list[Object]:
    """The objects of a YAML (or JSON) text, in its order.

    Raises InvalidObject that carries every error of every document; of a text that is no YAML, the first.
    """
    return check(documents(text, file), file)


def check(found: Sequence[Document], file: str = "") -> list[Object]:
    """The objects of documents that were read before, one each. Raises InvalidObject."""
    if not found:
        raise InvalidObject(
            [FieldError("", "holds no object: it is empty", file)], next_step="shipway init writes one that works"
        )
    objects: list[Object] = []
    errors: list[FieldError] = []
    seen: dict[tuple[str, str], int] = {}
    for document in found:
        try:
            obj = _object(document)
        except InvalidObject as invalid:
            errors.extend(invalid.errors)
            continue
        if obj.key in seen:
            message = f"{obj.kind} {obj.name!r} is given twice: first in line {seen[obj.key]}"
            errors.append(document.error(("metadata", "name"), message))
        seen.setdefault(obj.key, document.line(()))
        objects.append(obj)
    if errors:
        raise InvalidObject(errors)
    return objects


def object_from_document(document: object, file: str = "", lines: Mapping[Any, int] | None = None) -> Object:
    """One object from JSON-like data; ``lines`` maps paths (tuples) to lines. Raises InvalidObject."""
    return _object(Document(document, file, lines or {}))


def _object(document: Document) -> Object:
    model = _model(document)
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise InvalidObject(translate(error, document, model)) from None


def _model(document: Document) -> type[Object]:
    value = document.value
    if not isinstance(value, dict):
        problem = f"{shown(value)} is not an object: a mapping with apiVersion, kind, metadata and spec"
        raise InvalidObject([document.error((), problem)])
    version, kind = value.get("apiVersion"), value.get("kind")
    if isinstance(version, str) and _KUBERNETES.fullmatch(version):
        problem = f"{version} {shown(kind)} is a kind of Kubernetes: here stand kinds of {API_VERSION}: {_kinds()}"
        raise InvalidObject([document.error(("kind",), problem)])
    errors = []
    if version is None:
        errors.append(document.error(("apiVersion",), f"is missing: {API_VERSION}"))
    elif version != API_VERSION:
        errors.append(document.error(("apiVersion",), f"{shown(version)} is not allowed; must be {API_VERSION}"))
    if kind is None:
        errors.append(document.error(("kind",), f"is missing: one of {_kinds()}"))
    elif not isinstance(kind, str) or kind not in KINDS:
        hint = nearest(str(kind), KINDS)
        errors.append(document.error(("kind",), f"{shown(kind)} is not a kind: one of {_kinds()}{hint}"))
    if errors:
        raise InvalidObject(errors)
    return KINDS[kind]  # type: ignore[index]


def _kinds() -> str:
    return ", ".join(KINDS)
