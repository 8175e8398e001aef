"""Kubernetes' quantities as exact numbers. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_FORM = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIX = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SUFFIX |= {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
_SUFFIX |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}


def amount(text: Any) -> Decimal:
    """``500m`` is 0.5, ``2Gi`` is 2147483648; what is no quantity counts as 0, for an API server sent it."""
    match = _FORM.fullmatch(str(text).strip())
    if match is None:
        return Decimal(0)
    number, exponent, suffix = match.groups()
    return Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIX[suffix or ""]


def shown(value: Decimal, like: str = "") -> str:
    """A number for people: bytes as Gi or Mi when ``like`` names memory or storage."""
    if "memory" in like or "storage" in like:
        for suffix in ("Gi", "Mi", "Ki"):
            if abs(value) >= _SUFFIX[suffix]:
                return f"{_number(value / _SUFFIX[suffix])}{suffix}"
    return _number(value)


def _number(value: Decimal) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
