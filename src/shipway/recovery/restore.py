"""A home from a backup: everything is verified before anything is put into its place."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway.database.salvage import trouble
from shipway.errors import Corrupt, EnvironmentFault, Refused, UserError
from shipway.journal import sqlite as journal
from shipway.oci.digest import HashingReader
from shipway.recovery.archive import FORMAT, MANIFEST, Content, allowed, wrong
from shipway.settings import Settings
from shipway.store import sqlite as store

_PARTS = ("secrets", "oci", "journal.db", "store.db")
_STAGING = "restore-"  # begins the name of a folder in which a backup is unpacked: of no worth to the next restore
_WHOLE = "restoring"  # one that is verified: from here on the restore is done, by whoever comes next
_BEFORE = "before"  # in it, until all that the home held has been moved here

_NO_BACKUP = "Give a file that `shipway hub backup` wrote."
_ANOTHER = "Take another backup: nothing was restored."


def restore(where: Settings, source: Path, now: datetime, *, force: bool) -> dict[str, Any]:
    """Fill an empty home from ``source``; what was restored. With ``force`` what the home holds is moved aside.

    Only with the home's lock. Raises Refused for a home that is not empty or runs something, and for a backup that
    holds what does not belong there; Corrupt when its bytes are not those that were saved; UserError when it is none.
    """
    running = sorted(one.name for one in where.workloads.iterdir()) if where.workloads.is_dir() else []
    if running:
        raise Refused(
            f"{where.home} still runs {running[0]}", next_step="First `shipway down --all`, then stop the hub."
        )
    present = _present(where)
    if present and not force:
        raise Refused(
            f"{where.home} is not empty: {present[0]} is there",
            next_step="Restore into another SHIPWAY_HOME, or add --force: what is there is moved aside, not deleted.",
        )
    for rest in where.home.glob(f"{_STAGING}*"):  # of a restore that was killed while it unpacked
        shutil.rmtree(rest, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=where.home) as staging:
        folder = Path(staging) / "home"
        (folder / _BEFORE).mkdir(mode=0o700, parents=True)
        listed = _unpack(source, folder)
        _check_databases(folder)
        folder.rename(where.home / _WHOLE)
    aside = finish(where, now)
    return {"file": str(source), "files": len(listed), "home": str(where.home), "aside": str(aside) if aside else ""}


def finish(where: Settings, now: datetime) -> Path | None:
    """Put a verified backup into its place; where that lies which was there before. Only with the home's lock.

    Whoever opens a home calls this first: a restore that was killed half-way is ended, not left as half a home.
    """
    folder = where.home / _WHOLE
    if not folder.is_dir():
        return None
    before, aside = folder / _BEFORE, None
    if before.exists():  # what lies in the home is still the old, or nothing
        for path in _present(where):
            path.rename(before / path.name)
        if any(before.iterdir()):
            aside = where.home / f"before-restore-{now.strftime('%Y%m%dT%H%M%S%f')}"
            shutil.rmtree(where.cache / "artifacts", ignore_errors=True)  # made of the other home's versions
            before.rename(aside)
        else:
            before.rmdir()
    for name in _PARTS:
        if (folder / name).exists():
            (folder / name).rename(where.home / name)
    where.hub_failure.unlink(missing_ok=True)
    folder.rmdir()
    return aside


def _present(where: Settings) -> list[Path]:
    names = [where.store, where.journal, where.oci, where.secrets, where.gateway]
    beside = [Path(f"{one}{end}") for one in (where.store, where.journal) for end in ("-wal", "-shm")]
    return [one for one in (*names, *beside) if one.exists()]


def _unpack(source: Path, folder: Path) -> Mapping[str, Content]:
    """The members, written below ``folder`` and verified."""
    found: dict[str, Content] = {}
    manifest: dict[str, Any] = {}
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or member.name in found or not (member.name == MANIFEST or allowed(member.name)):
                    raise Refused(f"{source} holds {member.name!r}, which no backup has: nothing was restored")
                if member.name == MANIFEST:
                    manifest = json.load(content)
                    continue
                path = folder / member.name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                reader = HashingReader(content)  # type: ignore[arg-type]
                with path.open("xb") as target:
                    shutil.copyfileobj(reader, target)
                path.chmod(0o600)
                digest, size = reader.finish()
                found[member.name] = Content(digest.hex, size)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {source}", next_step=_NO_BACKUP) from error
    except tarfile.ReadError as error:
        raise UserError(f"{source} is no backup, or it is cut: {error}", next_step=_NO_BACKUP) from error
    except (EOFError, zlib.error, tarfile.TarError, ValueError) as error:
        raise Corrupt(f"{source} is damaged: {error}", next_step=_ANOTHER) from error
    except OSError as error:
        raise EnvironmentFault(f"cannot restore {source}: {error}", next_step="Free space and try again.") from error
    if manifest.get("format") != FORMAT:
        raise UserError(f"{source} has format {manifest.get('format')!r}, known is {FORMAT}", next_step=_NO_BACKUP)
    listed = {name: Content(**one) for name, one in manifest["files"].items()}
    problems = wrong(listed, found, encrypted=bool(manifest.get("encryption")))
    if problems:
        raise Corrupt(f"{source} is damaged: {problems[0]}", next_step=_ANOTHER)
    return listed


def _check_databases(folder: Path) -> None:
    for name, room in (("store.db", store), ("journal.db", journal)):
        said = trouble(folder / name, room.MIGRATIONS, room.TABLES)
        if said is not None:
            raise said
