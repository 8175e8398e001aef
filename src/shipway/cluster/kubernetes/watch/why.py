"""Why something does not run: a code for programs (docs/errors/reasons.md), a sentence with a next step for people."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Why:
    """``reason`` is stable; ``message`` names what is at fault, quotes who said so, and ends with what to do."""

    reason: str
    message: str


def quoted(words: str) -> str:
    """What somebody else's program said, in one line of bounded length."""
    line = " ".join(words.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
