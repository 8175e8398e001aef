"""What a Dockerfile says, as values. Pure.

Source: https://docs.docker.com/reference/dockerfile/ (syntax docker/dockerfile:1).
"""

from __future__ import annotations

from dataclasses import dataclass

from shipway.errors import UserError
from shipway.packages.pip_configuration import redact


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its continuation lines joined, comments gone, nothing expanded.

    ``words`` are those of the JSON form, None in the other. ``heredoc``: its text goes on in lines of its own.
    """

    file: str
    line: int  # 1-based, its first
    keyword: str  # in capitals
    text: str  # what follows keyword and flags
    flags: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] | None = None
    heredoc: bool = False

    def flag(self, name: str) -> str:
        """The last one of that name; empty where there is none."""
        return next((value for one, value in reversed(self.flags) if one == name), "")

    def __str__(self) -> str:
        """As ``image history`` shows it: the instruction without its flags."""
        return redact(f"{self.keyword} {self.text}".rstrip())


@dataclass(frozen=True, slots=True)
class Section:
    """What stands from one FROM to the next. ``image`` and ``platform`` are not expanded yet."""

    start: Instruction
    image: str
    name: str = ""  # AS name, in small letters
    platform: str = ""
    instructions: tuple[Instruction, ...] = ()


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file, read. ``arguments`` are the ARGs that stand before the first FROM."""

    name: str
    escape: str
    arguments: tuple[Instruction, ...]
    sections: tuple[Section, ...]


def wrong(at: Instruction, message: str, next_step: str = "") -> UserError:
    """The error for an instruction: its file and line go first, passwords of URLs stay away."""
    return UserError(redact(f"{at.file}:{at.line}: {at.keyword}: {message}"), next_step=next_step)
