"""The files behind a digest, whichever room keeps them: what ``why`` and ``models diff`` compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shipway.data import DataSets
from shipway.errors import NotFound
from shipway.explain import Listing
from shipway.models import Snapshots

ListingOf = Callable[[str], Listing]  # raises NotFound and Corrupt


@dataclass(frozen=True, slots=True)
class Listings:
    """Snapshots and data sets. Blocking: call it from a thread."""

    snapshots: Snapshots
    sets: DataSets

    def of(self, digest: str) -> Listing:
        """Name to digest of the content and bytes. Raises NotFound when neither has it any more, Corrupt."""
        try:
            return self.snapshots.files(digest)
        except NotFound:
            files = self.sets.files_of(digest)
        return {one.name: (one.digest.removeprefix("sha256:"), one.size) for one in files}
