"""Source and input snapshots: a tar, kept as a one-layer OCI artifact under the digest of its bytes."""

from __future__ import annotations

import hashlib
import tarfile
from typing import BinaryIO

from shipway.errors import Corrupt, NotFound
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Digest, Index, Layout, Manifest

ARTIFACT_TYPE = "application/vnd.shipway.source.v1"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"  # so that the same blob can be a layer of an image


def tag_of(digest: Digest) -> str:
    """The tag that keeps a snapshot reachable. No model's tag has a slash."""
    return f"source/{digest.hex}"


class Snapshots:
    """The snapshots of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def has(self, digest: str) -> bool:
        """Whether the snapshot is there. Raises UserError when ``digest`` is none."""
        wanted = Digest(digest)
        return self._holds(self._layout.index(), wanted) and self._layout.blob_path(wanted).exists()

    def store(self, digest: str, file: BinaryIO) -> str:
        """Keep a tar from a stream; its digest. Idempotent. Raises UserError when the bytes have another digest."""
        wanted = Digest(digest)
        blob = self._layout.put_blob(file, LAYER_TYPE, expected=wanted)
        if not self._holds(self._layout.index(), wanted):
            self._layout.put_blob(EMPTY_CONFIG_BYTES)
            self._layout.put_manifest(Manifest(EMPTY_CONFIG, (blob,), ARTIFACT_TYPE), tag=tag_of(wanted))
        return wanted

    def files(self, digest: str) -> dict[str, str]:
        """The files of a snapshot, name to sha256 of the content. Raises NotFound when it is gone."""
        wanted = Digest(digest)
        if not self.has(digest):
            raise NotFound(f"the snapshot {digest} is not kept any more")
        try:
            with tarfile.open(self._layout.blob_path(wanted), mode="r:") as tar:
                return {one.name: _content(tar, one) for one in tar if one.isfile()}
        except (OSError, tarfile.TarError) as error:
            raise Corrupt(f"the snapshot {digest} cannot be read: {error}") from error

    def _holds(self, index: Index, digest: Digest) -> bool:
        return tag_of(digest) in index.tags


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content = tar.extractfile(member)
    assert content is not None  # it is a file
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
