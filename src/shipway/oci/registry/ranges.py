"""Parts of a blob: how they are asked for, and what an answer brings. Pure. Source: RFC 9110, 14."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto

from shipway.oci.registry import headers

Gap = tuple[int, int]  # from the first byte to the one behind the last

_UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})")


class Take(Enum):
    """What to do with an answer."""

    BODY = auto()  # it begins where we asked, or at 0 when we asked for all
    NO_RANGES = auto()  # ask for all: this server gives no parts
    WRONG = auto()  # of something else: the size is not the one that was announced


def header(gap: Gap) -> str:
    """The value of ``Range``; there the end is inclusive."""
    return f"bytes={gap[0]}-{gap[1] - 1}"


def within(gap: Gap, others: Iterable[Gap]) -> tuple[Gap, ...]:
    """What of the other gaps, which are in order, lies in this one."""
    cut = ((max(start, gap[0]), min(end, gap[1])) for start, end in others)
    return tuple((start, end) for start, end in cut if start < end)


def take(gap: Gap | None, size: int, status: int, content_range: str, length: int | None) -> Take:
    """Judge a 200, 206 or 416. ``gap`` is what was asked for, None for a request without ``Range``; ``length`` is
    Content-Length."""
    if gap is None:
        return Take.BODY if status == 200 and length in (None, size) else Take.WRONG
    if status == 206:
        found = headers.content_range(content_range)
        right = found is not None and found[0] == gap[0] and found[2] in (None, size)
        return Take.BODY if right else Take.WRONG
    unsatisfied = _UNSATISFIED.fullmatch(content_range.strip())
    if unsatisfied and int(unsatisfied[1]) != size:
        return Take.WRONG
    return Take.NO_RANGES
