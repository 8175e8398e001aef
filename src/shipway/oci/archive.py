"""An OCI layout of one artifact in a tar, which skopeo and podman call oci-archive."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import BinaryIO, Final, cast

from shipway.oci.descriptor import Descriptor
from shipway.oci.index import Index
from shipway.oci.label import label
from shipway.oci.layout import Layout
from shipway.oci.tree import blobs
from shipway.transfer import Progress, Report

_MARKER: Final = b'{"imageLayoutVersion":"1.0.0"}'


def write(layout: Layout, descriptor: Descriptor, tag: str, path: Path, report: Report) -> int:
    """Write the archive to a path that is free; its size in bytes. Equal artifacts, equal archives.

    Hold ``descriptor.digest`` in a lease meanwhile. Raises OSError, and Corrupt for a damaged blob.
    """
    index = Index().with_tag(tag, descriptor).to_bytes()
    with tarfile.open(path, "x:", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "oci-layout", io.BytesIO(_MARKER), len(_MARKER))
        for one in blobs(layout, descriptor):
            with layout.open_blob(one) as blob:
                _add(tar, f"blobs/sha256/{one.digest.hex}", heard(blob, one, report), one.size)
        _add(tar, "index.json", io.BytesIO(index), len(index))
    return path.stat().st_size


def heard(source: BinaryIO, descriptor: Descriptor, report: Report) -> BinaryIO:
    """The blob's stream, which tells how far it was read."""
    return cast(BinaryIO, _Heard(source, descriptor, report))


class _Heard:
    def __init__(self, source: BinaryIO, descriptor: Descriptor, report: Report) -> None:
        self._source = source
        self._what = label(descriptor)
        self._size = descriptor.size
        self._done = 0
        self._report = report

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        self._report(Progress(self._what, self._done, self._size))
        return data


def _add(tar: tarfile.TarFile, name: str, source: BinaryIO, size: int) -> None:
    entry = tarfile.TarInfo(name)  # owner and time are constant
    entry.size, entry.mode = size, 0o644
    tar.addfile(entry, source)
