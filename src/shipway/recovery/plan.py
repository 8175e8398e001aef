"""What to do about what was found. Pure: it reads nothing and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.database.rows import Row
from shipway.database.salvage import Rows
from shipway.image.names import BASES, IMAGES
from shipway.recovery.findings import BlobFound, FileFound, Found

_SOURCE, _DATA = "source/", "data/"  # how tags begin that are no versions' of models, nor images


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A database that is kept aside and written anew with these rows, by table's name."""

    path: Path
    rows: dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Plan:
    """``damage``, ``saved`` and ``lost`` are lines to read; the rest is what ``--yes`` does.

    ``stuck`` is damage that nothing here can mend.
    """

    damage: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    blobs: tuple[BlobFound, ...] = ()


def plan(found: Found) -> Plan:
    """The repair of a home."""
    parts = [_store(found.store, found.models), _journal(found.journal), *map(_blob, found.blobs)]
    if found.layout_trouble:
        parts.append(Plan(damage=(found.layout_trouble,), stuck=(found.layout_trouble,)))
    return Plan(
        damage=tuple(line for one in parts for line in one.damage),
        saved=tuple(line for one in parts for line in one.saved),
        lost=tuple(line for one in parts for line in one.lost),
        stuck=tuple(line for one in parts for line in one.stuck),
        rewrites=tuple(each for one in parts for each in one.rewrites),
        blobs=found.blobs,
    )


def _store(found: FileFound, models: Sequence[str]) -> Plan:
    if not found.trouble:
        return Plan()
    objects, changes = found.rows["objects"], found.rows["changes"]
    kept = {(kind, name): text for kind, name, text in objects.whole}
    from_log = []
    for key, text in _newest(changes).items():
        if key not in kept if text is not None else key in kept:
            if text is None:
                del kept[key]  # deleted by a write that reached the log's pages only
            else:
                kept[key] = text
                from_log.append("/".join(key))
        elif text is not None and _version(text) > _version(kept[key]):
            kept[key] = text
    lost = [one for one in objects.broken if tuple(one.split("/", 1)) not in kept]
    mirrored = [f"Model/{name}" for name in models if ("Model", name) not in kept]
    return Plan(
        damage=(found.trouble,),
        saved=(
            f"{len(kept)} objects",
            *(f"{one}: from the change log" for one in from_log),
            *(f"{one}: made anew from the versions in oci/ when the hub starts" for one in mirrored),
        ),
        lost=(
            *(one for one in lost if one not in mirrored),
            *(["every object that is not named above"] if objects.cut else []),
        ),
        rewrites=(
            Rewrite(
                found.path,
                {"objects": [(*key, text) for key, text in kept.items()], "changes": _last_change(changes, kept)},
            ),
        ),
    )


def _newest(changes: Rows) -> dict[tuple[str, str], str | None]:
    """What the change log says last of each object: its text, or None when it was deleted."""
    said: dict[tuple[str, str], str | None] = {}
    for _, type_, kind, text in sorted(changes.whole):
        said[kind, _meta(text)["name"]] = None if type_ == "DELETED" else text
    return said


def _last_change(changes: Rows, kept: dict[tuple[str, str], str]) -> list[Row]:
    """One change, the newest: the store counts its versions from it, and whoever watched must list again."""
    candidates: list[Row] = [
        *changes.whole,
        *((_version(text), "MODIFIED", kind, text) for (kind, _), text in kept.items()),
    ]
    return [max(candidates, key=lambda row: int(row[0]))] if candidates else []


def _journal(found: FileFound) -> Plan:
    if not found.trouble:
        return Plan()
    entries, points = found.rows["entries"], found.rows["points"]
    return Plan(
        damage=(found.trouble,),
        saved=(f"{len(entries.whole)} entries of the journal", f"{len(points.whole)} metric points"),
        lost=(
            *(f"entry {one}" for one in entries.broken),
            *(f"metric point {one}" for one in points.broken),
            *(["lines of pages that cannot be read"] if entries.cut or points.cut else []),
        ),
        rewrites=(Rewrite(found.path, {"entries": list(entries.whole), "points": list(points.whole)}),),
    )


def _blob(found: BlobFound) -> Plan:
    attached = sorted({one.what for one in found.attached})
    damage = (f"blob {found.digest}: {found.how}; it is part of {', '.join([*found.needed_by, *attached])}",)
    if found.copy is not None:
        return Plan(damage, saved=(f"blob {found.digest}: from {found.copy.path}",))
    sources = [one for one in found.needed_by if one.startswith(_SOURCE)]
    return Plan(
        damage,
        saved=tuple(f"{one}: the next `shipway up` sends it again" for one in sources),
        lost=(
            *(_lost(one) for one in found.needed_by if one not in sources),
            *(f"{one}: say it again (`shipway models sign` for a signature)" for one in attached),
        ),
    )


def _lost(tag: str) -> str:
    name, colon, _ = tag.partition(":")
    if name.startswith(IMAGES):
        return f"{tag}: it is no image any more; `shipway build` makes it again"
    if name.startswith(BASES):
        return f"{tag}: it is no base any more; the next `shipway build` on it makes it again"
    if colon and name.startswith(_DATA):
        return f"{tag}: it is no data set any more; `shipway data add {name.removeprefix(_DATA)}` makes one"
    if colon:
        return f"{tag}: it is no version any more; run its job again, or pull or import it again"
    return f"{tag}: it is not ours; the program that put it there has to do it again"


def _meta(text: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(text)["metadata"]
    return meta


def _version(text: str) -> int:
    return int(_meta(text)["resourceVersion"])
