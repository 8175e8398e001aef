"""What happened and why, in sentences, and what differs between two versions. Pure."""

from __future__ import annotations

from shipway.explain.files import FileChanges, Listing, compared, snapshot_pairs
from shipway.explain.history import Happening, History, Tenure, history
from shipway.explain.story import Holds, Line, NextStep, Story, story
from shipway.explain.versions import Side, StoredFile, compare

__all__ = [
    "FileChanges",
    "Happening",
    "History",
    "Holds",
    "Line",
    "Listing",
    "NextStep",
    "Side",
    "StoredFile",
    "Story",
    "Tenure",
    "compare",
    "compared",
    "history",
    "snapshot_pairs",
    "story",
]
