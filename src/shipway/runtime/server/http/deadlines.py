"""Until when a request is worth answering. Pure.

Source: ``X-Request-Timeout`` is ours (a number of seconds, or with a unit); ``X-Envoy-Expected-Rq-Timeout-Ms`` is what
Envoy's router tells the server behind it ("HTTP header manipulation").
"""

from __future__ import annotations

import math
import re

from shipway.runtime.errors import BadInput

_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}


def allowance(asked: str | None, envoys: str | None, default: float) -> float:
    """Seconds from now, inf for none: the shorter of what the two headers say; ``default`` (0 for none) where neither
    says anything. Raises BadInput."""
    if asked is None and envoys is None:
        return default or math.inf
    seconds = math.inf
    if asked is not None:
        seconds = _seconds("x-request-timeout", asked, asked)
        if not seconds:
            raise BadInput("x-request-timeout is 0, and must be above")
    if envoys is not None:
        seconds = min(seconds, _seconds("x-envoy-expected-rq-timeout-ms", envoys, f"{envoys}ms") or math.inf)
    return seconds


def _seconds(header: str, given: str, text: str) -> float:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise BadInput(f'{header} is {given!r}, and must be a number of seconds, or like "250ms"')
    return float(match[1]) * _UNITS[match[2]]
