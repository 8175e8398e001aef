"""A file that was there once and is not: a new, empty one in its place would be a loss that nobody is told of."""

from __future__ import annotations

from pathlib import Path

from shipway.database.rows import REPAIR
from shipway.errors import Corrupt
from shipway.settings import Settings


def check_nothing_lost(where: Settings) -> None:
    """Raises Corrupt when a file that this home had is missing or empty. For a hub before it opens any."""
    found = lost(where)
    if found:
        path, proof = found[0]
        how = "is empty" if path.exists() else "is missing"
        raise Corrupt(f"{path} {how}, and this home had one: {proof} is there", next_step=REPAIR)


def lost(where: Settings) -> list[tuple[Path, Path]]:
    """Files that are missing or empty, each with one that proves that it was there.

    No marker is needed, which could be lost too: a hub makes these files in this order, so each is the proof of those
    before it, but for the layout: `shipway build` makes that, too, without a hub. A hub that was killed in its first
    second leaves a beginning of the row.
    """
    layout = where.oci / "oci-layout"
    row = (where.store, where.journal, layout, where.gateway / "port")
    there = {one: one.exists() and one.stat().st_size > 0 for one in row}
    proofs = {path: [one for one in row[number:] if there[one] and one != layout] for number, path in enumerate(row)}
    return [(path, found[-1]) for path, found in proofs.items() if found and not there[path]]
