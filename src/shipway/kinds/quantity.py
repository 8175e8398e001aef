"""Kubernetes quantities (``500m``, ``2Gi``) and durations (``30s``), kept as written, read as numbers.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ and the
Gateway API's duration format (GEP-2257).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
LONGEST = 10 * 365 * 24 * 3600  # seconds: beyond some hundred years datetime and Envoy cannot count them
_DURATION_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def cpu_cores(text: str) -> float:
    """Cores as a number: ``500m`` is 0.5. Raises ValueError that says what is allowed."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in (None, "m") or float(match[1]) == 0:
        raise ValueError(f"{text!r} is not a CPU quantity: write cores like 2, 0.5 or 500m")
    return float(match[1]) * (0.001 if match[2] == "m" else 1.0)


def memory_bytes(text: str) -> int:
    """Bytes as a number: ``2Gi`` is 2147483648. Raises ValueError that says what is allowed."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] == "m" or float(match[1]) == 0:
        raise ValueError(f"{text!r} is not a memory quantity: write bytes like 512Mi, 2Gi or 1G")
    unit = match[2] or ""
    return int(float(match[1]) * (_BINARY.get(unit) or _DECIMAL[unit]))


def duration_seconds(value: object) -> float:
    """Seconds from a number or a string like ``30s``, ``1m30s``, ``250ms``. Raises ValueError."""
    seconds = _seconds(value)
    if seconds is not None and seconds > LONGEST:
        raise ValueError(f"{value!r} is too long: at most {LONGEST / 3600:.0f}h (ten years)")
    if seconds is not None and seconds >= 0:  # NaN is not
        return seconds
    raise ValueError(f"{value!r} is not a duration: write seconds like 30, or 30s, 1m30s, 250ms")


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(min(value, 2 * LONGEST))  # an int of 400 digits is no float
    text = str(value)
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _DURATION_UNIT[part[2]] for part in parts)


def _cpu(value: object) -> str:
    cpu_cores(str(value))
    return str(value)


def _memory(value: object) -> str:
    memory_bytes(str(value))
    return str(value)


Cpu = Annotated[str, BeforeValidator(_cpu)]
Memory = Annotated[str, BeforeValidator(_memory)]
Seconds = Annotated[float, BeforeValidator(duration_seconds)]
