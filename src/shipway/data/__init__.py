"""Data sets: files cut into chunks, or pinned where they lie, as numbered and immutable OCI artifacts. docs/data.md."""

from __future__ import annotations

from shipway.data.artifact import ARTIFACT_TYPE, Remote, is_data
from shipway.data.changes import Difference, FileChange, difference
from shipway.data.files import DataFile
from shipway.data.sets import DataSets, DataVersion
from shipway.data.stores import Access, ObjectStores

__all__ = [
    "ARTIFACT_TYPE",
    "Access",
    "DataFile",
    "DataSets",
    "DataVersion",
    "Difference",
    "FileChange",
    "ObjectStores",
    "Remote",
    "difference",
    "is_data",
]
