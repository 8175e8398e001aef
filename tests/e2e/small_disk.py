"""A home on a disk of a few megabytes, and something to fill it with."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.home import Home, fresh_home

_CHUNK = 4096  # a page: what a tmpfs gives


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk on which a home lies."""

    mount: Path

    def fill(self, *, leave: int = 0) -> None:
        """Take all of it, but so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            while self.free > leave:
                try:
                    file.write(b"\0" * min(_CHUNK * 16, max(_CHUNK, self.free - leave)))
                except OSError as error:
                    if error.errno == errno.ENOSPC:
                        return
                    raise

    def relieve(self) -> None:
        """Give all of it back."""
        self._ballast.unlink()

    @property
    def free(self) -> int:
        """Bytes."""
        seen = os.statvfs(self.mount)
        return seen.f_bavail * seen.f_frsize

    @property
    def _ballast(self) -> Path:
        return self.mount / ".ballast"


@contextmanager
def small_disk(megabytes: int) -> Iterator[tuple[Home, Disk]]:
    """An empty home on a tmpfs of that size. Skips (in CI: fails) where nobody may mount one."""
    with fresh_home() as home:
        home.path.mkdir(mode=0o700)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", home.path],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"only root can mount a small disk: {mounted.stderr.strip()}")
        # Its folder for sockets and its lock do not matter here, but a home is refused that has strange files first.
        home.ok("hub", "start")
        try:
            yield home, Disk(home.path)
        finally:
            (home.path / ".ballast").unlink(missing_ok=True)
            left = home.end()
            subprocess.run(["umount", home.path], check=True)
            home.path.rmdir()
        assert left == []
