"""Look at a home's files, all of them, and change none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shipway.database.rows import Migration, Table
from shipway.database.salvage import Rows, salvage, trouble
from shipway.errors import Corrupt, ShipwayError
from shipway.journal import sqlite as journal
from shipway.oci import Descriptor, Layout
from shipway.recovery.findings import BlobFound, FileFound, Found
from shipway.recovery.lost import lost
from shipway.settings import Settings
from shipway.store import sqlite as store

_VERSION = re.compile(r"([a-z][-a-z0-9]*):[1-9][0-9]*")


def inspect(where: Settings) -> Found:
    """What is damaged in the home. Nobody else may write to it meanwhile."""
    missing = dict(lost(where))
    found = Found(
        store=_file(where.store, store.MIGRATIONS, store.TABLES, missing.get(where.store)),
        journal=_file(where.journal, journal.MIGRATIONS, journal.TABLES, missing.get(where.journal)),
    )
    try:
        if not (where.oci / "oci-layout").exists():
            gone = missing.get(where.oci / "oci-layout")
            said = f"{where.oci} holds no layout, and this home had one: {gone} is there" if gone else ""
            return replace(found, layout_trouble=said)
        layout = Layout(where.oci)
        tags = layout.tags()
        blobs = _blobs(layout, tags, where.cache)
    except ShipwayError as error:
        return replace(found, layout_trouble=error.message)
    unlisted = {tag for one in blobs for tag in one.versions}
    models = {match[1] for tag in tags if tag not in unlisted and (match := _VERSION.fullmatch(tag))}
    return replace(found, blobs=blobs, models=tuple(sorted(models)))


def _file(path: Path, migrations: Sequence[Migration], tables: Sequence[Table], proof: Path | None) -> FileFound:
    if proof is not None:
        how = "is empty" if path.exists() else "is missing"
        return FileFound(path, f"{path} {how}, and this home had one: {proof} is there", _rows(path, tables))
    if not path.exists():
        return FileFound(path)
    said = trouble(path, migrations, tables)
    if said is None:
        return FileFound(path)
    if not isinstance(said, Corrupt):
        raise said  # a newer Shipway's file, or one that cannot be opened: no damage, and nothing to repair
    return FileFound(path, said.message, _rows(path, tables))


def _rows(path: Path, tables: Sequence[Table]) -> dict[str, Rows]:
    return {one.table.name: one for one in salvage(path, tables)}


def _blobs(layout: Layout, tags: dict[str, Descriptor], cache: Path) -> tuple[BlobFound, ...]:
    """Each blob that a tag needs, against its digest."""
    needed: dict[Descriptor, set[str]] = {}
    for tag, descriptor in tags.items():
        needed.setdefault(_bare(descriptor), set()).add(tag)
        try:
            manifest = layout.read_manifest(descriptor)
        except Corrupt:
            continue  # found below: it is a blob too
        for blob in (manifest.config, *manifest.layers):
            needed.setdefault(_bare(blob), set()).add(tag)
    damages = ((one, _damage(layout, one)) for one in sorted(needed, key=lambda one: one.digest))
    return tuple(
        BlobFound(one.digest, how, tuple(sorted(needed[one])), _copy(one, cache)) for one, how in damages if how
    )


def _copy(descriptor: Descriptor, cache: Path) -> Path | None:
    """A materialised file with the blob's bytes."""
    same_size = (
        path
        for path in (cache / "artifacts").rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size == descriptor.size
    )
    return next((path for path in same_size if _sha256(path) == descriptor.digest.hex), None)


def _damage(layout: Layout, descriptor: Descriptor) -> str:
    path = layout.blob_path(descriptor.digest)
    if not path.exists():
        return f"{path} is missing"
    actual = _sha256(path)
    return "" if actual == descriptor.digest.hex else f"the bytes of {path} have the digest sha256:{actual}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bare(descriptor: Descriptor) -> Descriptor:
    return Descriptor("", descriptor.digest, descriptor.size)
