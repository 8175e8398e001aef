"""Which files differ between two snapshots. Decisions keep digests; the files are looked up when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipway.ports import Entry
from shipway.transfer import size

Listing = Mapping[str, tuple[str, int]]  # name to digest of the content, and bytes
Pair = tuple[str, str]  # digests of the snapshots before and after

_NAMED = 4  # files in one sentence


@dataclass(frozen=True, slots=True)
class FileChanges:
    """Names of files, sorted. ``known`` is False when one of the snapshots is gone."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    known: bool = True
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)  # of the changed: before, after

    def in_words(self) -> str:
        """``train.py changed from 12 MB to 12.1 MB, data.csv is new``."""
        if not self.known:
            return "the earlier files are not kept any more"
        told = [f"{name} changed{_grown(*self.sizes.get(name, (0, 0)))}" for name in self.changed]
        told += [f"{name} is new" for name in self.added]
        told += [f"{name} is gone" for name in self.removed]
        more = f" and {len(told) - _NAMED} more files" if len(told) > _NAMED else ""
        return ", ".join(told[:_NAMED]) + more or "only modes of files differ"


def compared(before: Listing, after: Listing) -> FileChanges:
    """From the files of two snapshots or data sets."""
    changed = sorted(name for name in before.keys() & after.keys() if before[name] != after[name])
    return FileChanges(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(changed),
        removed=tuple(sorted(before.keys() - after.keys())),
        sizes={name: (before[name][1], after[name][1]) for name in changed},
    )


def snapshot_pairs(entries: Iterable[Entry]) -> frozenset[Pair]:
    """Which snapshots a story of these entries needs compared."""
    return frozenset(pair for entry in entries for _, pair in pairs_of(entry))


def pairs_of(entry: Entry) -> Iterator[tuple[str, Pair]]:
    """What changed its files, ``source`` or the name of an input, and the two snapshots."""
    changed: Any = entry.data.get("changed") or {}
    if not isinstance(changed, Mapping):  # of an Applied: names of fields
        return
    sources = {"source": changed.get("source") or {}, **(changed.get("inputs") or {})}
    for name, one in sources.items():
        if one.get("from") and one.get("to"):
            yield name, (one["from"], one["to"])


def _grown(before: int, after: int) -> str:
    """`` from 12 MB to 12.1 MB``; in bytes where that would say the same; nothing when the size is the same."""
    if before == after:
        return ""
    words = size(before), size(after)
    old, new = words if words[0] != words[1] else (f"{before:,} B", f"{after:,} B")
    return f" from {old} to {new}"
