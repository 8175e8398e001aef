"""A home as one file, while its hub goes on."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway import __version__
from shipway.database import salvage
from shipway.errors import Corrupt, EnvironmentFault, NotFound, Refused
from shipway.oci.digest import HashingReader
from shipway.recovery.archive import FORMAT, MANIFEST, Content, allowed
from shipway.settings import Settings


def backup(where: Settings, target: Path, now: datetime, *, secrets: bool) -> dict[str, Any]:
    """Write store, journal, versions (and ``secrets``) to ``target``, mode 0600; what is in it.

    It is there whole or not at all. Raises NotFound for a home without a store, Refused when the file exists, Corrupt
    when a blob is damaged (a backup must not hide that), EnvironmentFault.
    """
    if not (where.store.exists() and where.journal.exists()):
        raise NotFound(f"{where.home} holds no store and no journal: there is nothing to back up")
    if target.exists():
        raise Refused(f"{target} exists already", next_step="Choose another name: a backup is never overwritten.")
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                # Weights hardly get smaller: speed counts more.
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
                    contents = _write(tar, where, now, secrets=secrets)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, target)  # unlike a rename, it never replaces a file that came meanwhile
        finally:
            Path(draft).unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write {target}: {error.strerror or error}", next_step="Free space there, or choose another place."
        ) from error
    return {
        "file": str(target),
        "files": len(contents),
        "bytes": target.stat().st_size,
        "secrets": sum(name.startswith("secrets/") for name in contents),
    }


def _write(tar: tarfile.TarFile, where: Settings, now: datetime, *, secrets: bool) -> dict[str, Content]:
    contents: dict[str, Content] = {}
    with tempfile.TemporaryDirectory(prefix="backup-", dir=where.home) as folder:
        # Databases first: a version that the store knows is in the layout already.
        for source in (where.store, where.journal):
            made = Path(folder) / source.name
            salvage.copy(source, made)
            _add(tar, made, source.name, contents)
            made.unlink()
    for path in _others(where, secrets=secrets):
        _add(tar, path, path.relative_to(where.home).as_posix(), contents)
    document = {
        "format": FORMAT,
        "shipway": __version__,
        "created": now.isoformat(),
        "files": {name: asdict(one) for name, one in contents.items()},
    }
    text = json.dumps(document, indent=1).encode()
    tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
    return contents


def _others(where: Settings, *, secrets: bool) -> Iterator[Path]:
    yield from (where.oci / "oci-layout", where.oci / "index.json")
    yield from sorted((where.oci / "blobs" / "sha256").iterdir())
    if secrets and where.secrets.is_dir():
        yield from sorted(path for path in where.secrets.rglob("*") if path.is_file() and not path.is_symlink())


def _add(tar: tarfile.TarFile, path: Path, name: str, contents: dict[str, Content]) -> None:
    if not allowed(name):
        return  # a half-written secret, or what somebody else put there
    with path.open("rb") as file:
        reader = HashingReader(file)
        tar.addfile(_member(name, os.fstat(file.fileno()).st_size), reader)
        digest, size = reader.finish()
        contents[name] = Content(digest.hex, size)
    if name.startswith("oci/blobs/") and contents[name].sha256 != path.name:
        raise Corrupt(
            f"the blob {path} is damaged: its bytes have the digest sha256:{contents[name].sha256}",
            next_step="`shipway hub repair` names the versions that need it, and moves it away.",
        )


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member
