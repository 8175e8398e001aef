"""Decide what may be forgotten: pure."""

from __future__ import annotations

from shipway.retention.rules import Ended, Keep, Retention, surplus
from shipway.retention.snapshots import Verdict, collectable

__all__ = ["Ended", "Keep", "Retention", "Verdict", "collectable", "surplus"]
