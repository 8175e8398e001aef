"""Bytes that look like data and are the same in every run."""

from __future__ import annotations

import hashlib


def noise(count: int, seed: str = "") -> bytes:
    """That many bytes without any pattern."""
    return hashlib.shake_256(seed.encode()).digest(count)
