"""Patterns of COPY: Go's ``filepath.Match``, which Docker uses. Pure.

Source: https://pkg.go.dev/path/filepath#Match
"""

from __future__ import annotations

import posixpath
import re

_SPECIAL = re.compile(r"[*?\[\\]")


def is_pattern(text: str) -> bool:
    """Whether it has a character with a meaning."""
    return _SPECIAL.search(text) is not None


def start(pattern: str) -> str:
    """The folder below which all matches lie; ``""`` is the root."""
    found = _SPECIAL.search(pattern)
    return posixpath.dirname(pattern[: found.start()] if found else pattern)


def matcher(pattern: str) -> re.Pattern[str]:
    """A regular expression for whole paths: ``*`` and ``?`` stay within a folder. Raises ValueError."""
    made, at = "", 0
    while at < len(pattern):
        one = pattern[at]
        if one == "[":
            part, at = _class(pattern, at + 1)
            made += part
            continue
        if one == "\\":
            at += 1
            if at == len(pattern):
                raise ValueError("a pattern must not end with '\\'")
            made += re.escape(pattern[at])
        else:
            made += {"*": "[^/]*", "?": "[^/]"}.get(one) or re.escape(one)
        at += 1
    return re.compile(made, re.DOTALL)


def _class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges = ""
    while pattern[at : at + 1] != "]" or not ranges:
        low, at = _character(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _character(pattern, at + 1)
        # Go matches nothing with a range that runs backwards; re would refuse it.
        ranges += f"{re.escape(low)}-{re.escape(high)}" if low <= high else "\0"
    return f"(?!/)[{'^' if negated else ''}{ranges}]", at + 1


def _character(pattern: str, at: int) -> tuple[str, int]:
    escaped = pattern[at : at + 1] == "\\"
    at += escaped
    one = pattern[at : at + 1]
    if not one or (not escaped and one in "-]"):
        raise ValueError(f"'[' is not closed, or '{one}' stands where a character should")
    return one, at + 1
