"""Models: source snapshots and numbered versions as OCI artifacts in a layout, and their files on disk."""

from __future__ import annotations

from shipway.models.lineage import Lineage
from shipway.models.materialise import Materials
from shipway.models.snapshots import Snapshots
from shipway.models.versions import Versions

__all__ = ["Lineage", "Materials", "Snapshots", "Versions"]
