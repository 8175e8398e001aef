"""Words of a Dockerfile: where they end, what quotes and escapes mean, and ``$NAME``. Pure.

Source: BuildKit's ``frontend/dockerfile/shell/lex.go`` and ``parser/line_parsers.go``. Functions raise ValueError with
what is wrong; who knows the line makes an error for the user of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_DEEPEST = 50  # ${a:-${b:-...}}: nobody writes more by hand
_LONGEST = 1 << 20  # characters of a value; ENV a=$a$a in many lines doubles each time


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """The word without quotes and escapes, variables replaced; one that is not set is empty.

    ``${X:-word}``, ``${X:+word}``, ``${X:?word}`` and those without the colon are understood.
    """
    return _Reader(word, variables, escape).until("", 0, 0)[0]


class _Reader:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text, self._variables, self._escape = text, variables, escape
        self._size = 0  # characters that variables gave

    def until(self, stop: str, at: int, depth: int) -> tuple[str, int]:
        """What stands from ``at`` to the character ``stop`` (the end: ``""``), and where to go on."""
        if depth > _DEEPEST:
            raise ValueError(f"${{...}} is nested more than {_DEEPEST} deep")
        text = self._text
        said: list[str] = []
        while at < len(text):
            one = text[at]
            if one == stop:
                return "".join(said), at + 1
            if one == "'":
                end = text.find("'", at + 1)
                if end < 0:
                    raise ValueError("a single quote is not closed")
                part, at = text[at + 1 : end], end + 1
            elif one == '"':
                part, at = self._quoted(at + 1, depth)
            elif one == "$":
                part, at = self._variable(at + 1, depth)
            elif one == self._escape:
                part, at = text[at + 1 : at + 2], at + 2
            else:
                part, at = one, at + 1
            said.append(part)
        if stop:
            raise ValueError(f"{stop!r} is missing")
        return "".join(said), at

    def _quoted(self, at: int, depth: int) -> tuple[str, int]:
        text = self._text
        said: list[str] = []
        while at < len(text):
            one = text[at]
            if one == '"':
                return "".join(said), at + 1
            if one == "$":
                part, at = self._variable(at + 1, depth)
            elif one == self._escape and text[at + 1 : at + 2] in ('"', "$", self._escape):
                part, at = text[at + 1], at + 2
            else:
                part, at = one, at + 1
            said.append(part)
        raise ValueError("a double quote is not closed")

    def _variable(self, at: int, depth: int) -> tuple[str, int]:
        if self._text[at : at + 1] != "{":
            found = _NAME.match(self._text, at)
            return (self._value(found[0]) or "", found.end()) if found else ("$", at)
        found = _NAME.match(self._text, at + 1)
        if found is None:
            raise ValueError("after '${' comes a name")
        name, at = found[0], found.end()
        if self._text[at : at + 1] == "}":
            return self._value(name) or "", at + 1
        operator = re.compile(r":?[-+?]").match(self._text, at)
        if operator is None:
            raise ValueError(f"${{{name}...}} is not understood: allowed are ${{X}}, ${{X:-d}}, ${{X:+a}}, ${{X:?e}}")
        other, at = self.until("}", operator.end(), depth + 1)
        return self._chosen(name, operator[0], other), at

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        self._size += len(value or "")
        if self._size > _LONGEST:
            raise ValueError(f"its value has more than {_LONGEST} characters")
        return value

    def _chosen(self, name: str, operator: str, other: str) -> str:
        value = self._value(name)
        given = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("+"):
            return other if given else ""
        if operator.endswith("?") and not given:
            raise ValueError(f"{name} is not set{': ' if other else ''}{other}")
        return (value or "") if given else other


def split(text: str, escape: str = "\\") -> tuple[str, ...]:
    """Words between white space, each as it stands there: quotes and escapes hold a word together, and stay in it."""
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        one = text[at]
        if one == escape and quote != "'":
            one = text[at : at + 2]
        elif quote:
            quote = "" if one == quote else quote
        elif one in "'\"":
            quote = one
        elif one.isspace():
            if word:
                words.append(word)
            word, one, at = "", "", at + 1
            continue
        word += one
        at += len(one)
    return (*words, word) if word else tuple(words)


def pairs(text: str, escape: str = "\\") -> tuple[tuple[str, str], ...]:
    """``A=1 B="2 3"`` as names and values; ``A 1`` too, the old form, whose value is the rest of the line."""
    words = split(text, escape)
    if not words:
        raise ValueError("a name and a value are missing")
    if "=" not in words[0]:
        name, *rest = text.split(None, 1)
        if not rest:
            raise ValueError(f"{name} has no value: write {name}=value")
        return ((name, rest[0].strip()),)
    for word in words:
        if "=" not in word:
            raise ValueError(f"{word!r} is not of the form name=value; a value with spaces needs quotes")
    found = tuple((name, value) for name, _, value in (word.partition("=") for word in words))
    if not all(name for name, _ in found):
        raise ValueError("a name is empty")
    return found
