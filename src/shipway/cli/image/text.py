"""Tables of what strangers wrote into their images: no control character reaches a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from shipway.cli.output import aligned


def plain(text: str) -> str:
    """In one line, with a question mark for what is no printable character."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text)


def table(rows: Sequence[Sequence[str]]) -> str:
    """As :func:`shipway.cli.output.aligned`, each cell plain."""
    return aligned([[plain(cell) for cell in row] for row in rows])
