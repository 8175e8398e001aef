"""Do what the plan says. Each damaged file is kept aside first; killed anywhere, the next repair goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from shipway.database.rows import Migration, Table
from shipway.database.salvage import rewrite
from shipway.journal import sqlite as journal
from shipway.oci import Digest, Index, Layout
from shipway.oci import cipher as ciphers
from shipway.oci.numbers import without_version
from shipway.recovery import copies
from shipway.recovery.findings import Attached
from shipway.recovery.plan import Plan, Rewrite
from shipway.settings import Settings
from shipway.store import sqlite as store

_BESIDE = ("", "-wal", "-shm")  # what SQLite keeps next to a database


def repair(where: Settings, plan: Plan, now: datetime) -> list[str]:
    """Act; where each damaged file lies now. Only with the home's lock."""
    stamp = now.strftime("%Y%m%dT%H%M%S")
    aside = [str(path) for one in plan.rewrites for path in _rewrite(where, one, stamp)]
    if plan.blobs:
        aside += _quarantine(where, plan, stamp)
    where.hub_failure.unlink(missing_ok=True)
    return aside


def _rewrite(where: Settings, wanted: Rewrite, stamp: str) -> list[Path]:
    migrations, tables = _format(where, wanted.path)
    draft = wanted.path.with_name(f"{wanted.path.name}.repaired")
    for end in _BESIDE:
        draft.with_name(draft.name + end).unlink(missing_ok=True)
    rewrite(draft, migrations, [(table, wanted.rows[table.name]) for table in tables])
    kept: list[Path] = []
    for end in _BESIDE:
        damaged = wanted.path.with_name(wanted.path.name + end)
        if end == "-shm" or (damaged.exists() and not damaged.stat().st_size):
            damaged.unlink(missing_ok=True)  # nothing but an index of the log, or an empty one
        elif damaged.exists():
            kept.append(damaged.rename(wanted.path.with_name(f"{wanted.path.name}.damaged-{stamp}{end}")))
    draft.rename(wanted.path)
    return kept


def _format(where: Settings, path: Path) -> tuple[tuple[Migration, ...], tuple[Table, ...]]:
    return (store.MIGRATIONS, store.TABLES) if path == where.store else (journal.MIGRATIONS, journal.TABLES)


def _quarantine(where: Settings, plan: Plan, stamp: str) -> list[str]:
    """Move the blobs away, and take good copies in. A version that lacks a blob loses its tag: its model could not be
    listed, and a job whose fingerprint it has would never run again."""
    layout = Layout(where.oci, ciphers.of_file(where.encryption_key))
    folder = where.home / f"quarantine-{stamp}"
    folder.mkdir(mode=0o700, exist_ok=True)
    moved = []
    with layout.edit() as edit:
        for one in plan.blobs:
            blob = layout.blob_path(Digest(one.digest))
            if blob.exists():
                moved.append(str(blob.rename(folder / blob.name)))
            if one.copy is not None:
                copies.put(one.copy, Digest(one.digest), layout)
            for tag in one.lost:
                edit.index = without_version(edit.index, tag)
        edit.index = _without_attached(layout, edit.index, [each for one in plan.blobs for each in one.attached])
    return moved


def _without_attached(layout: Layout, index: Index, attached: Sequence[Attached]) -> Index:
    """The index whose lists of referrers name nothing that is lost."""
    for tag in sorted({one.list for one in attached}):
        listed, lost = index.tags.get(tag), {one.referrer for one in attached if one.list == tag}
        if listed is None or listed.digest in lost:
            index = index.without_tag(tag)
            continue
        left = layout.read_index(listed)
        left = replace(left, manifests=tuple(one for one in left.manifests if one.digest not in lost))
        index = index.with_tag(tag, layout.put_index(left)) if left.manifests else index.without_tag(tag)
    return index
