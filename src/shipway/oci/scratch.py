"""Room for what an operation needs on the disk of the home for a moment, and never longer than its process lives."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from shipway.oci import disk

_PREFIX = "scratch-"


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A new folder below ``root``, gone at the end of the block. Those of processes that were killed go first."""
    with disk.faults(f"write to {root}"):
        for stale in root.glob(f"{_PREFIX}*"):
            _remove_dead(stale)
        folder, descriptor = _made(root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made(root: Path) -> tuple[Path, int]:
    while True:
        folder = Path(mkdtemp(prefix=_PREFIX, dir=root))
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = _locked(folder)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)
        # Another one came between the two lines, and took it for a dead process's.


def _remove_dead(folder: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError):  # another one took it away, or its owner lives
        descriptor = _locked(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
