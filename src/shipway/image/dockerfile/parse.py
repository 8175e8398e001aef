"""A Dockerfile's text to its instructions. Pure; nothing is expanded here, for that needs the base's variables.

Source: https://docs.docker.com/reference/dockerfile/, and BuildKit's parser where that leaves a question open.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping

from shipway.errors import UserError
from shipway.image.dockerfile.lines import Text, escape_of, texts
from shipway.image.dockerfile.value import Dockerfile, Instruction, Section, wrong

LARGEST = 1 << 20  # bytes; BuildKit takes no more of a line

_FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(\S*))?(?:\s+|$)")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_JSON_FORM = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"})
# Which flags an instruction knows; what becomes of each is said where the instruction is read.
_FLAGS: Mapping[str, frozenset[str]] = {
    "ADD": frozenset({"checksum", "chmod", "chown", "exclude", "keep-git-dir", "link", "unpack"}),
    "ARG": frozenset(),
    "CMD": frozenset(),
    "COPY": frozenset({"chmod", "chown", "exclude", "from", "link", "parents"}),
    "ENTRYPOINT": frozenset(),
    "ENV": frozenset(),
    "EXPOSE": frozenset(),
    "FROM": frozenset({"platform"}),
    "HEALTHCHECK": frozenset({"interval", "retries", "start-interval", "start-period", "timeout"}),
    "LABEL": frozenset(),
    "MAINTAINER": frozenset(),
    "ONBUILD": frozenset(),
    "RUN": frozenset({"device", "mount", "network", "security"}),
    "SHELL": frozenset(),
    "STOPSIGNAL": frozenset(),
    "USER": frozenset(),
    "VOLUME": frozenset(),
    "WORKDIR": frozenset(),
}


def parse(text: str, name: str) -> Dockerfile:
    """The file, read. ``name`` is how messages call it. Raises UserError with the line."""
    if len(text) > LARGEST:
        raise UserError(f"{name} has more than {LARGEST} characters", next_step="Is it a Dockerfile?")
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    try:
        escape = escape_of(lines)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    instructions = [_instruction(one, name) for one in texts(lines, escape)]
    before = [index for index, one in enumerate(instructions) if one.keyword == "FROM"]
    first = before[0] if before else len(instructions)
    for one in instructions[:first]:
        if one.keyword != "ARG":
            raise wrong(one, "stands before the first FROM; only ARG may", "Begin with FROM python:3.12-slim.")
    if not before:
        raise UserError(f"{name} has no FROM", next_step="Begin it with FROM python:3.12-slim.")
    ends = [*before[1:], len(instructions)]
    sections = tuple(_section(instructions[start:end]) for start, end in zip(before, ends, strict=True))
    return Dockerfile(name, escape, tuple(instructions[:first]), sections)


def _instruction(text: Text, name: str) -> Instruction:
    keyword, *more = text.text.split(None, 1)
    rest = more[0].strip() if more else ""
    found = Instruction(name, text.line, keyword.upper(), rest, heredoc=text.heredoc)
    if found.keyword not in _FLAGS:
        near = difflib.get_close_matches(found.keyword, _FLAGS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Allowed: {', '.join(_FLAGS)}."
        raise UserError(f"{name}:{text.line}: {keyword[:40]!r} is no instruction of a Dockerfile", next_step=hint)
    flags = []
    while (match := _FLAG.match(rest)) is not None:
        if match[1] not in _FLAGS[found.keyword]:
            allowed = ", ".join(f"--{one}" for one in sorted(_FLAGS[found.keyword])) or "none"
            raise wrong(found, f"--{match[1]} is not known here", f"Flags of {found.keyword}: {allowed}.")
        flags.append((match[1], match[2] or ""))
        rest = rest[match.end() :]
    if not rest and found.keyword != "HEALTHCHECK":
        raise wrong(found, "says nothing")
    words = _json(found, rest) if found.keyword in _JSON_FORM and not text.heredoc else None
    return Instruction(name, text.line, found.keyword, rest, tuple(flags), words, text.heredoc)


def _json(at: Instruction, text: str) -> tuple[str, ...] | None:
    """The words of the JSON form; None when it is the other form, as which Docker takes JSON that is none, too."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise wrong(at, "the JSON form is a list of texts", 'Write ["python", "app.py"].')
    return tuple(words)


def _section(instructions: list[Instruction]) -> Section:
    start, *rest = instructions
    words = start.text.split()
    named = len(words) == 3 and words[1].upper() == "AS"
    if len(words) != 1 and not named:
        raise wrong(start, f"{start.text!r} is not understood", "Write FROM IMAGE, or FROM IMAGE AS NAME.")
    name = words[2].lower() if named else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise wrong(start, f"{words[2]!r} is no name of a stage", "A letter, then letters, digits, '-', '_' and '.'.")
    return Section(start, words[0], name, start.flag("platform"), tuple(rest))
