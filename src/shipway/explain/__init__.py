"""What happened and why, in sentences: from journal entries and objects to a story. Pure."""

from __future__ import annotations

from shipway.explain.files import FileChanges, compared, snapshot_pairs
from shipway.explain.history import Tenure, history
from shipway.explain.story import Holds, Line, NextStep, Story, story

__all__ = [
    "FileChanges",
    "Holds",
    "Line",
    "NextStep",
    "Story",
    "Tenure",
    "compared",
    "history",
    "snapshot_pairs",
    "story",
]
