"""Leases: what a running operation needs, so that the garbage collection leaves it alone.

A blob that no entry of ``index.json`` leads to is garbage, and so is each blob of an artifact until its tag is
written. Whoever writes one therefore holds a lease until the tag is there::

    with layout.lease("pull ghcr.io/team/digits:3") as lease:
        lease.hold(digest)                       # BEFORE it is looked whether the blob is there
        if not layout.has_blob(descriptor): ...  # from here on it stays
        layout.put_blob(source, media_type, lease=lease)
        layout.put_manifest(manifest, tag="digits:3", lease=lease)

Readers of many blobs (a push, an export) hold the digest of the manifest: what it refers to is kept with it.

Each lease is a file in ``leases/``: a line that says why, then a line for each digest. Its owner holds its ``flock``,
which the kernel takes away when the owner dies, by whatever means. A lease whose owner is dead, or whose block ended
with an error, counts for another hour: a pull that was killed resumes with what it has.

Why nothing that is needed is ever deleted
------------------------------------------
Two locks, always taken in this order: ``.lock`` (who changes ``index.json``), then ``leases/.lock``, *the gate*. A
writer passes the gate, shared, while a line is added to its lease, and for no longer. The collection takes ``.lock``
and the gate, exclusive, and decides and deletes (some blobs at a time) while it has both. So ``index.json`` and the
leases stand still while it decides. Take a blob D that the collection deletes and a writer W that needs it:

- W holds D before the collection passed the gate: the collection reads it in W's lease, which is there until W has
  written its tag. When W's lease is gone, the tag was written before that, and the collection, which has ``.lock``,
  reads it in ``index.json``. Either way D is kept.
- W holds D after the collection has left the gate: D is gone by then, W looks after that, does not find it, and
  writes it again.
- W writes D without having looked (:meth:`Layout.put_blob`): the digest is known when all is written, and is held
  before the file is renamed into its place. The temporary file is locked, and never swept while W lives.
- W is killed: nothing refers to D. The dead lease keeps it for an hour; then it goes, and so does W's temporary file.
- The collection is killed: it deletes only what nothing refers to, in any order, and its locks go with it.

Other programs (skopeo) know no leases: while one of them writes here, do not collect.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from shipway.clock import wall
from shipway.oci import disk
from shipway.oci.digest import Digest

AFTERLIFE = 3600.0  # seconds for which a lease counts after its owner has died

_HELD = re.compile(r"(sha256:[0-9a-f]{64})\n")  # a line that was cut by a kill was not promised to anybody


class Lease:
    """What one operation needs. Threads may share it."""

    def __init__(self, gate: Path, path: Path, descriptor: int) -> None:
        self._gate = gate
        self._path = path
        self._descriptor = descriptor
        self._held: set[Digest] = set()

    def hold(self, *digests: Digest) -> None:
        """Keep these blobs, there or still to come, and all that they refer to, until the lease ends.

        Raises EnvironmentFault when the disk is full.
        """
        new = [one for one in digests if one not in self._held]
        if not new:
            return
        lines = "".join(f"{one}\n" for one in new).encode()
        with disk.faults(f"write {self._path}"), disk.locked(self._gate, shared=True):
            if os.write(self._descriptor, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._held.update(new)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self._held


class Leases:
    """All leases of a layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gate = folder / ".lock"

    @contextmanager
    def new(self, why: str) -> Iterator[Lease]:
        """A lease for the length of the block; it counts for another hour when the block ends with an error."""
        with disk.faults(f"write to {self.folder}"):
            path = self.folder / secrets.token_hex(8)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with disk.faults(f"write {path}"):
                # Unlocked until here it would pass for a dead one that is new, and be kept.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                os.write(descriptor, json.dumps({"why": why, "pid": os.getpid()}).encode() + b"\n")
            lease = Lease(self._gate, path, descriptor)
            try:
                yield lease
            except BaseException:
                if lease.is_empty:
                    path.unlink(missing_ok=True)
                with suppress(OSError):
                    self.sweep()  # what fails and is tried again for ever leaves those of an hour
                raise
            path.unlink(missing_ok=True)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked meanwhile shares the lock
            os.close(descriptor)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Nobody holds anything new in this block. Take ``.lock`` before, never after."""
        with disk.locked(self._gate):
            yield

    def held(self) -> Mapping[Digest, str]:
        """What counts now, and why. Exact only while the leases stand still."""
        found: dict[Digest, str] = {}
        for path in self._files():
            if not self._is_over(path):
                found.update(_read(path))
        return found

    def running(self) -> tuple[str, ...]:
        """Why the leases are held whose owners live: "build digits"."""
        return tuple(sorted({why for path in self._files() if (why := _why_of_living(path))}))

    def sweep(self) -> None:
        """Remove the leases that count no more."""
        for path in self._files():
            if self._is_over(path):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path != self._gate]

    def _is_over(self, path: Path) -> bool:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            # A time in the future was written before the clock was set back.
            if abs(wall().timestamp() - os.fstat(descriptor).st_mtime) < AFTERLIFE:
                return False
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # its owner lives
        finally:
            os.close(descriptor)
        return True


def _read(path: Path) -> dict[Digest, str]:
    try:
        first, _, rest = path.read_text(errors="replace").partition("\n")
    except FileNotFoundError:
        return {}  # it ended just now: its tag is written
    why = _why(first)
    return {Digest(one): why for one in _HELD.findall(f"{first}\n{rest}")}


def _why_of_living(path: Path) -> str:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _why(file.readline())
    return ""


def _why(first: str | bytes) -> str:
    try:
        return str(json.loads(first)["why"])
    except (KeyError, TypeError, ValueError):
        return "an operation"
