"""The files of a data set into a folder: each verified before it has its name, and those that are there are kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from shipway.data.contents import BLOCK, Contents
from shipway.data.files import PART, DataFile
from shipway.errors import Conflict, Refused
from shipway.oci import Digest, disk
from shipway.transfer import Progress, Report


def write(contents: Contents, files: Sequence[DataFile], folder: Path, what: str, report: Report) -> int:
    """Write the files; how many were there already. Killed at any line, it goes on when it is called again.

    Raises Refused for a file of another content that has the name of one of these, Conflict while somebody else
    writes to the folder, what ``contents`` raises, and EnvironmentFault (disk full).
    """
    total, done = sum(one.size for one in files), 0
    with disk.faults(f"write the files of {what} to {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            missing = [one for one in files if not _is_there(one, folder)]
            done = total - sum(one.size for one in missing)
            report(Progress(what, done, total, f"{len(files) - len(missing)} files were there" if done else ""))
            for file, blocks in groupby(contents.stream(missing), key=itemgetter(0)):
                for count in _write(contents, file, (block for _, block in blocks), folder):
                    done += count
                    report(Progress(what, done, total))
    return len(files) - len(missing)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two that write there at once, one would give the other's half of a file its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"somebody else writes files to {folder} now", next_step="Wait for that pull to end.") from None
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked meanwhile shares the lock
        os.close(descriptor)


def _write(contents: Contents, file: DataFile, blocks: Iterable[bytes], folder: Path) -> Iterator[int]:
    target = _inside(folder, file.name)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(PART)
    part.unlink(missing_ok=True)
    hasher, size = hashlib.sha256(), 0
    try:
        with part.open("xb") as out:
            for block in blocks:
                hasher.update(block)
                out.write(block)
                size += len(block)
                yield len(block)
        digest = Digest("sha256:" + hasher.hexdigest())
        if (digest, size) != (file.digest, file.size):
            raise contents.differs(file, digest, size)
        part.chmod(0o700 if file.executable else 0o600)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)


def _is_there(file: DataFile, folder: Path) -> bool:
    target = _inside(folder, file.name)
    if not target.exists() and not target.is_symlink():
        return False
    if target.is_file() and target.stat().st_size == file.size:
        with target.open("rb", buffering=0) as content:
            hasher = hashlib.sha256()
            while block := content.read(BLOCK):
                hasher.update(block)
        if "sha256:" + hasher.hexdigest() == file.digest:
            return True
    raise Refused(
        f"{target} is there and is not the file of the data set ({file.size} bytes, {file.digest})",
        next_step="Move it away, or name another folder: nothing of yours is written over.",
    )


def _inside(folder: Path, name: str) -> Path:
    """The path of a file; a link in the folder must not lead out of it."""
    target = folder / name
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"{target.parent} is a link that leaves {folder}", next_step="Name another folder.")
    return target
