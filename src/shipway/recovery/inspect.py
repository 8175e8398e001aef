"""Look at a home's files, all of them, and change none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from shipway.database.rows import Migration, Table
from shipway.database.salvage import Rows, salvage, trouble
from shipway.errors import Corrupt, Refused, ShipwayError
from shipway.journal import sqlite as journal
from shipway.oci import Descriptor, Digest, Index, Layout, referrers
from shipway.oci import cipher as ciphers
from shipway.recovery.copies import Copies
from shipway.recovery.findings import Attached, BlobFound, FileFound, Found
from shipway.recovery.lost import lost
from shipway.settings import Settings
from shipway.store import sqlite as store

_VERSION = re.compile(r"([a-z][-a-z0-9]*):[1-9][0-9]*")


def inspect(where: Settings) -> Found:
    """What is damaged in the home. Nobody else may write to it meanwhile.

    Raises Refused when the layout is encrypted with another key than the settings name.
    """
    cipher, missing = ciphers.of_file(where.encryption_key), dict(lost(where))
    found = Found(
        store=_file(where.store, store.MIGRATIONS, store.TABLES, missing.get(where.store)),
        journal=_file(where.journal, journal.MIGRATIONS, journal.TABLES, missing.get(where.journal)),
    )
    try:
        if not (where.oci / "oci-layout").exists():
            gone = missing.get(where.oci / "oci-layout")
            said = f"{where.oci} holds no layout, and this home had one: {gone} is there" if gone else ""
            return replace(found, layout_trouble=said)
        layout = Layout(where.oci, cipher)
        tags = layout.tags()
        blobs = _blobs(layout, where.cache)
    except Refused:
        raise  # encrypted, and this is not its key: no damage, and nothing to repair
    except ShipwayError as error:
        return replace(found, layout_trouble=error.message)
    unlisted = {tag for one in blobs for tag in one.lost}
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


def _blobs(layout: Layout, cache: Path) -> tuple[BlobFound, ...]:
    """Each blob that a tag or a list of referrers needs, against its digest."""
    needed: defaultdict[Descriptor, set[str]] = defaultdict(set)
    attached: defaultdict[Descriptor, set[Attached]] = defaultdict(set)
    lists = {tag: (subject, listed) for tag, subject, listed in referrers.listed(layout.index())}
    for tag, descriptor in layout.tags().items():
        for blob in _under(layout, descriptor, set()) if tag not in lists else ():
            needed[_bare(blob)].add(tag)
    tags = {one.digest: sorted(by) for one, by in needed.items()}
    for tag, (subject, listed) in lists.items():
        what = f"what is attached to {', '.join(tags.get(subject, [subject]))}"
        for blob, referrer in _attached(layout, listed):
            attached[_bare(blob)].add(Attached(tag, referrer.digest, what))
    every = sorted(needed.keys() | attached.keys(), key=lambda one: one.digest)
    copies = Copies(cache)
    damages = ((one, _damage(layout, one.digest)) for one in every)
    return tuple(
        BlobFound(
            one.digest,
            how,
            tuple(sorted(needed[one])),
            copies.find(one, (layout.tags()[tag].digest for tag in needed[one])),
            tuple(sorted(attached[one], key=lambda each: (each.list, each.referrer))),
        )
        for one, how in damages
        if how
    )


def _attached(layout: Layout, listed: Descriptor) -> Iterator[tuple[Descriptor, Descriptor]]:
    """Each blob under a list of referrers, with the referrer that needs it; the list itself with itself."""
    yield listed, listed
    try:
        found = layout.read_index(listed).manifests
    except (Corrupt, Refused):
        return  # told when its bytes are looked at
    for referrer in found:
        for blob in _under(layout, referrer, set()):
            yield blob, referrer


def _under(layout: Layout, artifact: Descriptor, seen: set[Digest]) -> Iterator[Descriptor]:
    """A manifest or an index with all that it leads to; what a damaged one names nobody knows."""
    if artifact.digest in seen:
        return
    seen.add(artifact.digest)
    yield artifact
    try:
        read = layout.read_artifact(artifact)
    except (Corrupt, Refused):
        return  # told when its bytes are looked at
    if isinstance(read, Index):
        for one in read.manifests:
            yield from _under(layout, one, seen)
    else:
        yield from (read.config, *read.layers)


def _damage(layout: Layout, digest: Digest) -> str:
    path = layout.blob_path(digest)
    try:
        with layout.blobs.open(digest) as content:
            actual = ciphers.sha256(content)
    except FileNotFoundError:
        return f"{path} is missing"
    except Corrupt as error:
        return error.message
    return "" if actual == digest else f"the bytes of {path} have the digest {actual}"


def _bare(descriptor: Descriptor) -> Descriptor:
    return Descriptor("", descriptor.digest, descriptor.size)
