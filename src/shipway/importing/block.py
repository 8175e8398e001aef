"""A mapping of somebody's YAML that remembers which of its fields were taken: what is left was not understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from shipway.errors import InvalidObject
from shipway.kinds.document import Document, Path

_Wanted = TypeVar("_Wanted")

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", dict: "a mapping", list: "a list"}


class Block:
    """One mapping of a document, at ``path``. A field without a value counts as not written.

    Every method that reads raises InvalidObject, with file and line, where a value has another type than it must.
    """

    def __init__(self, value: dict[str, Any], document: Document, path: Path = ()) -> None:
        self.path = path
        self._value = value
        self._document = document
        self._below: dict[str, list[Block]] = {}
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._value.get(name) is not None

    def peek(self, name: str) -> Any:
        """The value, which stays to be taken."""
        return self._value.get(name)

    def take(self, name: str, wanted: type[_Wanted]) -> _Wanted | None:
        """The whole value of a field; None where it is not written."""
        value = self._value.get(name)
        if value is None:
            return None
        self._check(value, wanted, name)
        self._taken.add(name)
        return value  # type: ignore[no-any-return]

    def text(self, name: str, default: str = "") -> str:
        found = self.take(name, str)
        return default if found is None else found

    def number(self, name: str) -> int | None:
        return self.take(name, int)

    def flag(self, name: str) -> bool:
        return bool(self.take(name, bool))

    def scalar(self, name: str) -> str:
        """A string, or a number as a string (a quantity, a port); "" where it is not written."""
        value = self._value.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self._taken.add(name)
            return str(value)
        return self.text(name)

    def words(self, name: str) -> list[str]:
        """A list of strings."""
        found = self.take(name, list) or []
        for index, one in enumerate(found):
            self._check(one, str, name, index)
        return found

    def texts(self, name: str) -> dict[str, str]:
        """A mapping of strings to strings."""
        found = self.take(name, dict) or {}
        for key, one in found.items():
            self._check(one, str, name, key)
        return found

    def block(self, name: str) -> Block:
        """The mapping below; an empty one where it is not written."""
        if name not in self._below:
            value = self._value.get(name)
            if value is not None:
                self._check(value, dict, name)
            self._below[name] = [Block(value or {}, self._document, (*self.path, name))]
        return self._below[name][0]

    def blocks(self, name: str) -> list[Block]:
        """The mappings of a list; none where it is not written."""
        if name not in self._below:
            value = self._value.get(name)
            if value is not None:
                self._check(value, list, name)
            for index, one in enumerate(value or []):
                self._check(one, dict, name, index)
            below = (*self.path, name)
            self._below[name] = [Block(one, self._document, (*below, at)) for at, one in enumerate(value or [])]
        return self._below[name]

    def names(self) -> list[str]:
        return list(self._value)

    def all(self) -> dict[str, Any]:
        """The whole mapping, which is taken."""
        self._taken |= self._value.keys()
        return self._value

    def left(self) -> Iterator[tuple[Path, Any]]:
        """The fields that nobody took, as high up as possible; empty ones say nothing and are not told."""
        for name, value in self._value.items():
            if name in self._taken or value in (None, {}, [], ""):
                continue
            if name in self._below:
                for one in self._below[name]:
                    yield from one.left()
            else:
                yield (*self.path, name), value

    def line(self, path: Path | None = None) -> int:
        return self._document.line(self.path if path is None else path)

    def refuse(self, name: str, message: str) -> InvalidObject:
        """An error at the field."""
        return InvalidObject([self._document.error((*self.path, name), message)])

    def _check(self, value: object, wanted: type, *at: str | int) -> None:
        right = isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))
        if not right:
            problem = self._document.error((*self.path, *at), f"must be {_WORDS[wanted]}")
            raise InvalidObject(
                [problem], next_step="Is it valid for Kubernetes? kubectl apply --dry-run=server -f FILE"
            )
