"""YAML text to plain JSON-like documents that remember where each field stands.

YAML 1.1 as PyYAML reads it, less what JSON cannot say: no timestamps, sets or custom tags, and keys
are strings as written. Duplicate keys are errors, not the last one's silent victory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from shipway.errors import FieldError, InvalidObject

Path = tuple[str | int, ...]

# libyaml's composer recurses in C: 100,000 brackets end the process with a segmentation fault.
_DEEPEST = 64
# An alias of an alias of an alias ... ("a billion laughs") grows without bound; a project file does not.
_MOST_NODES = 10_000

_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")}
_NOT_JSON = {f"{_TAG}timestamp", f"{_TAG}value"}

_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[valid-type, misc]
    """A date stays the string that the user wrote."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, regexp) for tag, regexp in resolvers if tag not in _NOT_JSON]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the 1-based line of every field by path."""

    value: Any
    file: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)

    def error(self, path: Path, message: str) -> FieldError:
        """An error at that path, or at the nearest field above it that was written."""
        return FieldError(path=dotted(path), message=message, file=self.file, line=self.line(path))

    def line(self, path: Path) -> int:
        """The line of the field, or of the nearest one above it; 0 when the document has no lines."""
        nearest = (path[:length] for length in range(len(path), -1, -1))
        return next((self.lines[one] for one in nearest if one in self.lines), 0)


def dotted(path: Path) -> str:
    """``("spec", "command", 0)`` as ``spec.command[0]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def documents(text: str, file: str = "", most: int = _MOST_NODES) -> list[Document]:
    """Every document of the text that is not empty; one of more than ``most`` values, those behind aliases counted
    again, is refused. Raises InvalidObject: one error, at its line."""
    try:
        _refuse_depth(text, file)
        return [one for one in _compose(text, file, most) if one.value is not None]
    except yaml.YAMLError as error:
        raise InvalidObject([_unreadable(error, text, file)]) from None
    except UnicodeError as error:  # a lone surrogate, from a file name or from JSON
        raise InvalidObject([FieldError("", f"not valid text: {error.reason}", file)]) from None  # type: ignore[attr-defined]


def _refuse_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise InvalidObject([FieldError("", f"nested more than {_DEEPEST} levels deep", file, line)])


def _compose(text: str, file: str, most: int) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            reader = _Reader(loader, file, most)
            value = reader.read(node, ())
            if reader.errors:
                raise InvalidObject(reader.errors)
            yield Document(value, file, reader.lines)
    finally:
        loader.dispose()


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> FieldError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None:
        return FieldError("", f"this is not YAML: {problem}", file)
    # A text that ends too early is marked at a line after its last one.
    line = "".join(text.splitlines()[mark.line : mark.line + 1])
    hint = "; indent with spaces, YAML allows no tabs" if "\t" in line[: mark.column + 1] else ""
    return FieldError("", f"this is not YAML: {problem}, in column {mark.column + 1}{hint}", file, mark.line + 1)


class _Reader:
    """Builds the value of one document out of PyYAML's nodes, and notes lines and errors on the way."""

    def __init__(self, loader: Any, file: str, most: int) -> None:
        self.lines: dict[Path, int] = {}
        self.errors: list[FieldError] = []
        self._loader = loader
        self._file = file
        self._open: list[yaml.Node] = []
        self._most = self._left = most
        self._merged: set[int] = set()  # nodes behind an alias are read again, and must not be merged again

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._left -= 1
        if self._left == 0:
            self._refuse(node, path, f"this is more than {self._most} values, aliases included")
        if self._left <= 0:
            return None
        if any(node is one for one in self._open):
            return self._refuse(node, path, "an alias may not contain itself")
        self._open.append(node)
        try:
            return self._build(node, path)
        finally:
            self._open.pop()

    def _build(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, path)
        return self._refuse(node, path, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed here")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Any:
        if id(node) not in self._merged:
            self._merged.add(id(node))
            self._find_duplicates(node, path)
            try:
                self._loader.flatten_mapping(node)  # resolves "<<: *defaults"; own keys come last and win
            except yaml.constructor.ConstructorError as error:
                return self._refuse(node, path, str(error.problem))
        result: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                return self._refuse(key, path, "a key must be a plain word")
            below = (*path, key.value)
            self.lines[below] = key.start_mark.line + 1
            result[key.value] = self.read(value, below)
        return result

    def _find_duplicates(self, node: yaml.MappingNode, path: Path) -> None:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_TAG}merge":
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                self._refuse(key, (*path, key.value), f"given twice: first in line {seen[key.value]}")
            seen[key.value] = line

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (ValueError, KeyError):  # "!!int many", or "0b_", which PyYAML's own pattern lets through
            kind = node.tag.removeprefix(_TAG)
            return self._refuse(node, path, f"{node.value!r} is not a YAML {kind}; quote it to make it a string")
        if isinstance(value, float) and not math.isfinite(value):
            return self._refuse(node, path, f"{node.value} is not allowed; must be a finite number")
        return value

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> None:
        line = node.start_mark.line + 1
        self.errors.append(FieldError(path=dotted(path), message=message, file=self._file, line=line))
