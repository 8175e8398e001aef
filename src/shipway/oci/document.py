"""JSON that others wrote: an object whose parts can be written again, or an error that says what is wrong. Pure.

Python's own reader takes more than JSON allows: half of a surrogate pair, NaN, 1e999. What it takes so cannot be
written into ``index.json`` later, so it is refused where it comes in. Source: RFC 8259.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from shipway.errors import UserError

# What reading the parts of such an object raises, when it is not what it should be.
NOT_READABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError, UserError)

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read(data: bytes) -> dict[str, Any]:
    """The JSON object that these bytes are. Raises ValueError when they are none."""
    text = data.decode()
    try:
        found = json.loads(text, parse_constant=_number, parse_float=_number)
        if _SURROGATE.search(text):  # mostly a whole pair: an emoji
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def text(document: Mapping[str, Any], name: str) -> str:
    """A field that is text. Raises KeyError without it, ValueError when it is something else."""
    value = document[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def optional_text(document: Mapping[str, Any], name: str) -> str | None:
    """A field that is text, or is not there, or null. Raises ValueError."""
    return None if document.get(name) is None else text(document, name)


def texts(document: Mapping[str, Any], name: str) -> dict[str, str]:
    """A field that maps text to text; empty when it is not there, or null. Raises ValueError."""
    found = document.get(name) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{name} does not map text to text")
    return found


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number
