"""Durable writes, locks and the accidents of a disk.

A file is written under a temporary name, flushed, renamed, and its folder flushed: a reader sees the
old file or the new one, after kill -9 and after a power cut.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shipway.errors import EnvironmentFault

Signature = tuple[int, int, int]


@contextmanager
def faults(doing: str, *, unless: type[OSError] | tuple[type[OSError], ...] = ()) -> Iterator[None]:
    """Turn an OSError (disk full, read-only, no permission) into EnvironmentFault that says what was being done."""
    try:
        yield
    except unless:
        raise
    except OSError as error:
        raise EnvironmentFault(
            f"cannot {doing}: {error.strerror or error}",
            next_step="Free space there, or give this user access, then try again: nothing was half written.",
        ) from error


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock that other processes, and other threads of this one, wait for; shared with those who share it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        # A child forked meanwhile shares the lock: closing alone would leave it with the child.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


@contextmanager
def temporary(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file (0600) that is gone at the end unless it was published. Its lock tells :func:`sweep` that we live."""
    path, file = _create_locked(folder)
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def publish(temporary_path: Path, file: BinaryIO, target: Path) -> None:
    """Make a finished temporary file visible as ``target``, durably; what was there is replaced at once."""
    file.flush()
    os.fsync(file.fileno())
    temporary_path.replace(target)
    sync_folder(target.parent)


def signature(path: Path) -> Signature | None:
    """Inode, time of the last change and size of a small file that is only ever replaced: equal while it is the same.

    None when it cannot be looked at; reading it then says why.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(target: Path, data: bytes, *, temporaries: Path) -> None:
    """Replace a small file durably."""
    with temporary(temporaries) as (path, file):
        file.write(data)
        publish(path, file, target)


def keep(path: Path, data: bytes) -> None:
    """Replace a file of a cache in one step; its folder is made for its owner only, with ``tmp`` for what is begun."""
    temporaries = path.parent / "tmp"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporaries.mkdir(mode=0o700, exist_ok=True)
    sweep(temporaries)
    write(path, data, temporaries=temporaries)


def sweep(folder: Path) -> None:
    """Remove the temporary files of processes that were killed; those of living ones are locked."""
    for path in folder.iterdir():
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _create_locked(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / secrets.token_hex(8)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # a sweep came between creation and lock, and took it for a dead process's
