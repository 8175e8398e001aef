"""A home as one file, while its hub goes on."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway import __version__
from shipway.database import salvage
from shipway.errors import Corrupt, EnvironmentFault, NotFound, Refused
from shipway.oci import Digest, Layout
from shipway.oci import cipher as ciphers
from shipway.oci.cipher import Cipher
from shipway.oci.digest import HashingReader
from shipway.recovery.archive import FORMAT, MANIFEST, Content, allowed
from shipway.settings import Settings


def backup(where: Settings, target: Path, now: datetime, *, secrets: bool) -> dict[str, Any]:
    """Write store, journal, versions (and ``secrets``) to ``target``, mode 0600; what is in it.

    It is there whole or not at all. Raises NotFound for a home without a store, Refused when the file exists, Corrupt
    when a blob is damaged (a backup must not hide that), EnvironmentFault. Of an encrypted layout the blobs stay
    encrypted in it.
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
    cipher = _cipher(where)
    with tempfile.TemporaryDirectory(prefix="backup-", dir=where.home) as folder:
        # Databases first: a version that the store knows is in the layout already.
        for source in (where.store, where.journal):
            made = Path(folder) / source.name
            salvage.copy(source, made)
            _add(tar, made, source.name, contents)
            made.unlink()
    with _index_held(where, cipher) as index:
        _add_bytes(tar, index, "oci/index.json", contents)
        for path in _others(where, secrets=secrets):
            name = path.relative_to(where.home).as_posix()
            try:
                _add(tar, path, name, contents)
            except FileNotFoundError:
                continue  # collected meanwhile: nothing refers to it
            if name in contents and name.startswith("oci/blobs/"):
                _check_blob(path, contents[name], cipher)
    document = {
        "format": FORMAT,
        "encryption": cipher.key_id,
        "shipway": __version__,
        "created": now.isoformat(),
        "files": {name: asdict(one) for name, one in contents.items()},
    }
    kept = dict(contents)
    _add_bytes(tar, json.dumps(document, indent=1).encode(), MANIFEST, contents)
    return kept


@contextmanager
def _index_held(where: Settings, cipher: Cipher) -> Iterator[bytes]:
    """``index.json``; what it leads to stays in the block, though versions may be removed and collected meanwhile."""
    if not (where.oci / "oci-layout").exists():  # opened, it would be made anew
        raise Corrupt(f"{where.oci} holds no layout", next_step="`shipway hub repair` says what can be saved.")
    layout = Layout(where.oci, cipher)
    with layout.lease("backup") as lease:
        with layout.edit() as edit:
            lease.hold(*(one.digest for one in edit.index.manifests))
            index = edit.index.to_bytes()
        yield index


def _others(where: Settings, *, secrets: bool) -> Iterator[Path]:
    """The other files. What leases and partials say is of no worth to another home."""
    yield where.oci / "oci-layout"
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


def _add_bytes(tar: tarfile.TarFile, data: bytes, name: str, contents: dict[str, Content]) -> None:
    tar.addfile(_member(name, len(data)), io.BytesIO(data))
    contents[name] = Content(Digest.of(data).hex, len(data))


def _check_blob(path: Path, stored: Content, cipher: Cipher) -> None:
    actual = Digest(f"sha256:{stored.sha256}")
    if cipher.key_id:  # it goes into the backup as it lies here; what it means is read once more
        with path.open("rb", buffering=0) as file:
            actual = ciphers.sha256(cipher.reader(file.fileno(), path))
    if actual.hex != path.name:
        raise Corrupt(
            f"the blob {path} is damaged: its bytes have the digest {actual}",
            next_step="`shipway hub repair` names the versions that need it, and moves it away.",
        )


def _cipher(where: Settings) -> Cipher:
    cipher = ciphers.of_file(where.encryption_key)
    if (where.oci / "oci-layout").exists():
        Layout(where.oci, cipher)  # says so when this is not its key
    return cipher


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member
