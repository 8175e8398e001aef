"""Decide what may be forgotten: pure."""

from __future__ import annotations

from shipway.retention.rules import Ended, Keep, Retention, surplus

__all__ = ["Ended", "Keep", "Retention", "surplus"]
