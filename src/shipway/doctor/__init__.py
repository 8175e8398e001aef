"""Look at this machine and at a home without changing either; say what is wrong and what to do."""

from __future__ import annotations

from shipway.doctor.bundle import Bundle, write_bundle
from shipway.doctor.facts import Facts
from shipway.doctor.gather import look
from shipway.doctor.verdict import Line, judge

__all__ = ["Bundle", "Facts", "Line", "judge", "look", "write_bundle"]
