"""Debian's releases that a base can be made of, and what goes into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# The Python that a release has; what a wheel's libraries need beside it comes by apt's own reckoning.
SUITES: Mapping[str, str] = MappingProxyType({"bookworm": "3.11", "trixie": "3.13"})


def packages(suite: str) -> tuple[str, ...]:
    """What is extracted: Python without its tools, and what manylinux wheels (PEP 600) take for granted."""
    python = SUITES[suite]
    return (
        f"python{python}-minimal",
        f"libpython{python}-stdlib",
        "libstdc++6",
        "libgomp1",
        "ca-certificates",
        "tzdata",
        "netbase",
        "base-files",
        "base-passwd",
    )
