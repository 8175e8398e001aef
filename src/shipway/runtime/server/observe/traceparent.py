"""Which trace a request belongs to. Pure.

Source: W3C Trace Context, section 3.2 "Traceparent Header".
"""

from __future__ import annotations

import re

from msgspec import Struct

# A version above 00 may have more fields, which are not ours to read; ff is no version.
_HEADER = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Trace(Struct, frozen=True):
    """``parent`` is the span that asked; empty where the trace begins here. Both ids are lower-case hexadecimal."""

    trace_id: str
    parent: str
    sampled: bool


def parse(header: str | None) -> Trace | None:
    """What the header says; None without one, and for one that is not valid (the trace then begins anew)."""
    found = _HEADER.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    version, trace_id, parent, flags = found.groups()
    extended = len(found.group(0)) > 55
    if (version == "00" and extended) or trace_id.strip("0") == "" or parent.strip("0") == "":
        return None
    return Trace(trace_id, parent, bool(int(flags, 16) & 1))
