"""Lines of a Dockerfile become instructions' texts: directives, comments, continuation. Pure.

Source: BuildKit's ``frontend/dockerfile/parser/parser.go`` and ``directives.go``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"(?<![<\w])\d*<<(-?)\s*(['\"]?)([A-Za-z_][A-Za-z0-9_.]*)\2(?=\s|$)")
_HEREDOC_KEYWORDS = ("RUN", "COPY", "ADD")


@dataclass(frozen=True, slots=True)
class Text:
    """An instruction's whole text, where it begins (1-based), and whether lines of a here-document follow it."""

    line: int
    text: str
    heredoc: bool = False


def escape_of(lines: list[str]) -> str:
    """The escape character that ``# escape=`` names. Raises ValueError for another one than these two."""
    for line in lines:
        found = _DIRECTIVE.match(line.strip())
        if found is None or found[1].lower() not in ("syntax", "escape", "check"):
            break
        if found[1].lower() == "escape":
            if found[2] not in ("\\", "`"):
                raise ValueError(f"# escape={found[2]}: allowed are \\ and `")
            return found[2]
    return "\\"


def texts(lines: list[str], escape: str) -> Iterator[Text]:
    """The instructions' texts, in order. A here-document's lines are passed over."""
    token = re.escape(escape)
    # An escape that is itself escaped is no continuation: "a\\" ends its line.
    continued = re.compile(rf"(?:(?<!{token})|^){token}[ \t]*$")
    at = 0
    while at < len(lines):
        start, goes_on = at, True
        parts: list[str] = []
        while goes_on and at < len(lines):
            line = lines[at].lstrip() if not parts else lines[at]
            at += 1
            if not line.strip() or line.lstrip().startswith("#"):
                if parts:
                    continue
                break
            if not parts:
                start = at - 1
            found = continued.search(line)
            goes_on = found is not None
            parts.append(line[: found.start()] if found else line)
        if not (text := "".join(parts).strip()):
            continue
        keyword = text.split(None, 1)[0].upper()
        documents = list(_HEREDOC.finditer(text)) if keyword in _HEREDOC_KEYWORDS else []
        for document in documents:
            at = _after(lines, at, document[3], bool(document[1]))
        yield Text(start + 1, text, bool(documents))


def _after(lines: list[str], at: int, end: str, strips: bool) -> int:
    while at < len(lines):
        line = lines[at].lstrip("\t") if strips else lines[at]
        at += 1
        if line == end:
            break
    return at
