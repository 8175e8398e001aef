"""The bytes of a damaged blob, found again in the cache: as a file, or by packing a version's files once more.

Equal files are equal layers (:mod:`shipway.models.layers`), so what a version's folder packs to today is what it was.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, get_args

from shipway.errors import ShipwayError
from shipway.models import layers
from shipway.models.modelpack import Form
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci import digest as digests
from shipway.recovery.findings import Copy
from shipway.snapshot import walk


class Copies:
    """What ``cache/artifacts`` holds. Nothing there is believed: only what has a blob's digest is its copy."""

    def __init__(self, cache: Path) -> None:
        self._root = cache / "artifacts"
        self._packed: dict[Copy, frozenset[Digest]] = {}

    def find(self, blob: Descriptor, artifacts: Iterable[Digest]) -> Copy | None:
        """A copy of a blob that these artifacts need."""
        files = (path for path in self._root.rglob("*") if path.is_file() and not path.is_symlink())
        for path in files:
            if path.stat().st_size == blob.size and _sha256(path) == blob.digest.hex:
                return Copy(path)
        folders = [self._root / one.hex for one in artifacts]
        packed = (Copy(folder, form) for folder in folders if folder.is_dir() for form in get_args(Form))
        return next((one for one in packed if blob.digest in self._digests(one)), None)

    def _digests(self, copy: Copy) -> frozenset[Digest]:
        if copy not in self._packed:
            try:
                with Path(os.devnull).open("wb") as nowhere:
                    self._packed[copy] = _layers(copy, nowhere)
            except ShipwayError:  # a file there changes, or has no name for an image
                self._packed[copy] = frozenset()
        return self._packed[copy]


def put(copy: Copy, digest: Digest, layout: Layout) -> None:
    """Bring the bytes back into the layout."""
    if copy.form is None:
        layout.put_blob(copy.path, expected=digest)
    else:
        layers.write(tuple(walk(copy.path)), copy.form, layout.put_blob)


def _layers(copy: Copy, nowhere: BinaryIO) -> frozenset[Digest]:
    def named(stream: BinaryIO, media_type: str) -> Descriptor:
        return Descriptor(media_type, *digests.copy(stream, nowhere))

    assert copy.form is not None
    written = layers.write(tuple(walk(copy.path)), copy.form, named)
    return frozenset(one.descriptor.digest for one in written.layers)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
