"""Collecting what nothing needs: the question to the store, the decision, and the act on layout and cache."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway.controllers.recorder import Recorder
from shipway.controllers.retention import SUBJECT
from shipway.image.remembered import Remembered
from shipway.models import Snapshots
from shipway.models.cached import Cached
from shipway.models.snapshots import tag_of
from shipway.oci import Digest, Layout
from shipway.oci.sweep import Garbage, Marks, garbage, sweep
from shipway.ports import Clock, Store
from shipway.retention import Verdict, collectable
from shipway.retention.snapshots import UNUSED, YOUNG
from shipway.transfer import Progress, Report

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAMED = 100  # names of each kind in an answer: the numbers are of all


@dataclass(frozen=True, slots=True)
class Heap:
    """Things of one kind that go for one reason: how many, their bytes on the disk, the first of their names."""

    what: str
    reason: str
    count: int
    bytes: int
    names: tuple[str, ...] = ()


class Collecting:
    """``in_use``: digests of what workloads need that run; any thread may ask."""

    def __init__(
        self,
        store: Store,
        layout: Layout,
        cached: Cached,
        remembered: Remembered,
        in_use: Callable[[], Collection[str]],
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._store = store
        self._layout = layout
        self._snapshots = Snapshots(layout)
        self._cached = cached
        self._remembered = remembered
        self._in_use = in_use
        self._recorder = recorder
        self._clock = clock
        self._marks = Marks(layout.blobs)
        self._one_at_a_time = asyncio.Lock()

    async def collect(self, *, dry_run: bool, by: str, report: Report) -> Mapping[str, Any]:
        """What would go, or what went: JSON-ready. Once begun it goes on to its end, whoever waits for it.

        Raises Corrupt when a manifest is damaged (then nothing is deleted), EnvironmentFault.
        """
        work = self._plan(report) if dry_run else self._collect(by, report)
        return await asyncio.shield(asyncio.ensure_future(work))

    async def _plan(self, report: Report) -> Mapping[str, Any]:
        async with self._one_at_a_time:  # what another deletes meanwhile would look as if it were missing
            heaps = await asyncio.to_thread(self._look, report)
        return _told(heaps, await asyncio.to_thread(self._kept_for_now), dry_run=True)

    async def _collect(self, by: str, report: Report) -> Mapping[str, Any]:
        async with self._one_at_a_time:
            heaps = await asyncio.to_thread(self._act, report)
        told = _told(heaps, await asyncio.to_thread(self._kept_for_now), dry_run=False)
        if heaps:
            words = ", ".join(f"{one.count} {one.what}" for one in heaps)
            numbers = {one.what: {"count": one.count, "bytes": one.bytes} for one in heaps}
            said = f"nothing needed {words}: {told['bytes']} bytes are free again"
            self._recorder.decision(SUBJECT, "Collected", said, {"bytes": told["bytes"], "by": by, "of": numbers})
        return told

    def _look(self, report: Report) -> tuple[Heap, ...]:
        report(Progress("look for what nothing needs", 0))
        forgotten = self._forgettable(self._snapshots.all())
        index = self._layout.index().without_tags({tag_of(one) for one in forgotten})
        used = self._in_use()
        unused = {one: size for one, size in self._cached.all().items() if one not in used}
        gone = garbage(self._layout, self._marks, index)
        stale = self._remembered.stale(self._layout.blobs.names() - gone.blobs.keys())
        return _heaps(forgotten, gone, unused, stale)

    def _act(self, report: Report) -> tuple[Heap, ...]:
        report(Progress("look for what nothing needs", 0))
        # Looked at before, while nobody waits: mostly there is nothing to forget, and never much to read again.
        forgotten = self._snapshots.forget(self._forgettable) if self._forgettable(self._snapshots.all()) else ()
        report(Progress("delete blobs", 0))
        gone = sweep(self._layout, self._marks)
        report(Progress("remove files that can be made again", 0))
        removed = {one: size for one, size in self._cached.all().items() if self._cached.drop(one, self._is_used)}
        stale = self._remembered.stale(self._layout.blobs.names())
        for path in stale:
            self._remembered.drop(path)
        return _heaps(forgotten, gone, removed, stale)

    def _is_used(self, digest: Digest) -> bool:
        return digest in self._in_use()

    def _forgettable(self, asked: Mapping[Digest, datetime]) -> tuple[Digest, ...]:
        """The snapshots that may go, of those that somebody asked for at these times."""
        return tuple(digest for digest, verdict in self._verdicts(asked).items() if verdict.goes)

    def _verdicts(self, asked: Mapping[Digest, datetime]) -> Mapping[Digest, Verdict]:
        others = self._layout.index().without_tags({tag_of(one) for one in asked})
        return collectable(asked, self._named_by(), self._marks.reachable(others), self._clock.now())

    def _named_by(self) -> dict[str, str]:
        objects, _ = self._store.list()
        return {
            digest: f"{one.kind}/{one.name}" for one in objects for digest in _DIGEST.findall(one.model_dump_json())
        }

    def _kept_for_now(self) -> tuple[str, ...]:
        """What would go if time passed: operations that hold something (also those that were cut short less than an
        hour ago), and snapshots that may be about to be used."""
        young = sum(verdict.reason == YOUNG for verdict in self._verdicts(self._snapshots.all()).values())
        held = [f"blobs: held by {one}" for one in sorted(set(self._layout.leases.held().values()))]
        return (*held, *([f"{young} snapshots: {YOUNG}"] if young else []))


def _heaps(
    forgotten: Iterable[Digest], gone: Garbage, removed: Mapping[Digest, int], stale: Mapping[Path, int]
) -> tuple[Heap, ...]:
    """All that goes, without what there is none of."""
    snapshots = {one: gone.blobs[one] for one in forgotten if one in gone.blobs}
    blobs = {one: size for one, size in gone.blobs.items() if one not in snapshots}
    heaps = (
        _heap("snapshots", UNUSED, snapshots),
        _heap("blobs", "no tag leads to them", blobs),
        _heap("lists of referrers", "what they refer to is gone", dict.fromkeys(gone.lists, 0)),
        _heap("downloads", "they were cut short, and not resumed for an hour", gone.partials),
        _heap("unpacked artifacts", "nothing that runs uses them; made again when something does", removed),
        _heap("notes on layers", "the layers of images that they are of are gone", stale),
    )
    return tuple(one for one in heaps if one.count)


def _heap(what: str, reason: str, sizes: Mapping[Any, int]) -> Heap:
    names = sorted(map(str, sizes))[:_NAMED]
    return Heap(what, reason, len(sizes), sum(sizes.values()), tuple(names))


def _told(heaps: Iterable[Heap], for_now: tuple[str, ...], *, dry_run: bool) -> dict[str, Any]:
    found = [{**asdict(one), "names": list(one.names)} for one in heaps]
    return {"dryRun": dry_run, "bytes": sum(one["bytes"] for one in found), "items": found, "keptForNow": list(for_now)}
